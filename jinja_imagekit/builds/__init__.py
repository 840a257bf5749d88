"""What a build does: notes what pages need, finishes, publishes, prunes."""
