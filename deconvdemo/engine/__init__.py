"""Running networks on photos: device and precision, exact tiling, one compute worker, the Restorer."""
