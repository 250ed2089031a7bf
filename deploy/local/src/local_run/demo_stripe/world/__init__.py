"""What the demo remembers: objects, events, timers, a clock that can be moved, and the file that keeps them."""
