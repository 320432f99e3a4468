"""Running networks on photos: device and precision, tiling without seams, one compute worker, the Restorer."""
