"""Tables of faces: their rows, what their columns mean, and the boxes in them."""
