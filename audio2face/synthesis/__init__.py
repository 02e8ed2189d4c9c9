"""Labels of synthetic speech: from phones with their times to what a speech encoder learns, 50 times per second."""
