"""How fast: timing of the input, the network and the detector; model cost."""
