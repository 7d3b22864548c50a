"""`torchbridge top`: what a server does right now, second by second."""
