"""What readers from outside rely on: keeps the schema `analytics` up, and writes down what it holds."""
