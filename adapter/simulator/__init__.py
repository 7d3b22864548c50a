"""`torchbridge simulate`: the gateway as it is, before a model that says what a script tells it to.

It needs neither Java nor PyTorch, and is there at once: for tests of what calls a gateway, its failures above all.
"""
