"""Writes README.md's front matter, which a Space reads, from space.yaml, which people edit."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent.parent


def with_front_matter(readme: str, space: str) -> str:
    """`readme` with `space` between its two opening lines of dashes."""
    body = readme.split("---\n", 2)[2] if readme.startswith("---\n") else f"\n{readme}"
    return f"---\n{space}---\n{body}"


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(with_front_matter(readme.read_text(), (ROOT / "space.yaml").read_text()))
