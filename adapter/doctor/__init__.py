"""`torchbridge doctor`: what is wrong with the machine, the installation, the settings or a server, and what to do."""
