"""The demo's colours: Gradio's Soft theme, made readable, with the system's fonts so that nothing is fetched."""

from __future__ import annotations

import gradio as gr

# Soft draws white fields on white pages in faint greys and teals: these reach 4.5:1 for text and show every edge
_COLOURS = {
    "body_text_color_subdued": ("*neutral_600", "*neutral_400"),
    "link_text_color": ("*primary_700", "*primary_400"),
    "block_info_text_color": ("*neutral_600", "*neutral_400"),
    "block_title_text_color": ("*neutral_800", "*neutral_100"),
    "block_title_background_fill": ("transparent", "transparent"),
    "block_label_background_fill": ("*neutral_100", "*neutral_800"),
    "block_label_text_color": ("*neutral_700", "*neutral_200"),
    "block_border_color": ("*neutral_200", "*neutral_700"),
    "border_color_primary": ("*neutral_300", "*neutral_600"),
    "input_border_color": ("*neutral_300", "*neutral_600"),
    "input_placeholder_color": ("*neutral_500", "*neutral_400"),
    "checkbox_border_color": ("*neutral_500", "*neutral_400"),
    "checkbox_label_border_color": ("*neutral_300", "*neutral_600"),
    "checkbox_label_background_fill_selected": ("*primary_700", "*primary_700"),
    "checkbox_label_border_color_selected": ("*primary_700", "*primary_700"),
    "button_primary_background_fill": ("*primary_700", "*primary_700"),
    "button_primary_background_fill_hover": ("*primary_800", "*primary_800"),
    "button_primary_text_color": ("white", "white"),
    "button_secondary_background_fill": ("white", "*neutral_800"),
    "button_secondary_background_fill_hover": ("*neutral_100", "*neutral_700"),
    "button_secondary_border_color": ("*neutral_300", "*neutral_600"),
    "slider_color": ("*primary_600", "*primary_600"),
}
_SHAPES = {
    "block_border_width": "1px",
    "block_title_padding": "0",
    "block_shadow": "none",
    "input_border_width": "1px",
    "input_shadow": "none",
    "checkbox_label_border_width": "1px",
    "checkbox_label_shadow": "none",
    "button_border_width": "1px",
    "button_secondary_shadow": "none",
    "button_primary_shadow": "none",
    "button_primary_border_color": "transparent",
    "color_accent": "*primary_600",
}

THEME = gr.themes.Soft(
    primary_hue="teal",
    secondary_hue="teal",
    neutral_hue="slate",
    font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"],
    font_mono=["ui-monospace", "monospace"],
).set(
    **_SHAPES,
    **{name: light for name, (light, _) in _COLOURS.items()},
    **{f"{name}_dark": dark for name, (_, dark) in _COLOURS.items()},
)
