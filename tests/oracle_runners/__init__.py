"""For each family of networks, what is done with a recorded case: a function for each folder of ``tests/oracles``."""
