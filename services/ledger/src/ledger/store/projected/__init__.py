"""What projections write and what is read of them: tracks, tables, rows and reports."""
