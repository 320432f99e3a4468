"""From folders of photographs and accepted flags to weights: samples, data, runs, recipes."""
