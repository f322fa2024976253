"""Networks, their weights, and the one path from YUV planes to tensors."""
