"""What all routes share: who is let in, what a body may be, how errors look."""
