"""How good animation is: measures against the recorded face."""
