"""Files that hold people: one record after the other, each made a row or told why it can't be one."""
