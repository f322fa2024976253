"""PTM-VQA: quality without a reference from frozen pretrained models, fused by a trained head."""

#: Members see no less than this many pixels a side: smaller pictures are continued by mirroring.
LEAST_SIDE = 224
