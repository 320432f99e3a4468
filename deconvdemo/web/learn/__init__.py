"""The page that explains deconvolution: one idea a section, each with one figure to touch, in two languages."""
