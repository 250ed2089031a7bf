"""What Solaris services say to each other, and nothing about how they do their work."""
