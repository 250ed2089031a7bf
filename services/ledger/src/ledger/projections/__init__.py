"""What people, admins and finance ask for, made of the log: each event counts exactly once."""
