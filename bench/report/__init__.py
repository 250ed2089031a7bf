"""What is told of it: medians, targets, tables."""
