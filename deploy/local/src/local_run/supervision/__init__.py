"""Programs as children of this process: started, kept running, heard and stopped."""
