"""From folders of photographs to weights: corpus, fitting, evaluation by the literature's protocols."""
