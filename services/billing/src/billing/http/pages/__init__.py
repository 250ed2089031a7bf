"""What people see in a browser: what is sold, and what has become of an order."""
