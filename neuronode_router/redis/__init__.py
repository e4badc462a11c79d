"""How we speak to Redis. This room must not know what is said."""
