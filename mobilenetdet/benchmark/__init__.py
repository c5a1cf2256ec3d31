"""How fast: timing of the backbone and the detector; model cost."""
