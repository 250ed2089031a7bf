"""The verb that founds the company."""
