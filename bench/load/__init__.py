"""What is sent to a peer, what comes back, and how long that takes."""
