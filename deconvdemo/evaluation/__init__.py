"""How good is it? Protocols, classical methods, acceptance of candidates, duels; no Gradio."""
