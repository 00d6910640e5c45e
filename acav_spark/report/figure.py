"""Figures as SVG that is part of the page: its colours, its font, its dark mode.

Matplotlib draws with marker colours, and the markers become CSS variables of the page
afterwards; so a figure follows the page's light or dark colours and prints well.
"""

from __future__ import annotations

import html
import io
import re
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

from acav_spark.errors import DependencyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

INK = "#010101"
MUTED = "#020202"
GRID = "#030303"
ACCENT = "#040404"
ACCENT_SOFT = "#050505"
NEUTRAL = "#060606"
CONTRAST = "#070707"
SERIES = tuple(f"#{8 + i:02x}{8 + i:02x}{8 + i:02x}" for i in range(8))

# A bundled font, only for measuring: the page sets the text in its own font, which is
# narrower than this one, so nothing collides.
_RC: dict[RcKeyType, object] = {
    "axes.axisbelow": True,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 11.5,
    "axes.linewidth": 1.0,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 12,
    "figure.dpi": 72,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 11,
    "legend.frameon": False,
    "legend.fontsize": 11,
    "svg.fonttype": "none",
    "svg.hashsalt": "acav_spark",
    "text.color": INK,
    "text.parse_math": False,
    "text.usetex": False,
    "xtick.color": GRID,
    "xtick.labelcolor": MUTED,
    "xtick.labelsize": 11,
    "ytick.color": GRID,
    "ytick.labelcolor": MUTED,
    "ytick.labelsize": 11,
    "ytick.major.size": 0,
}
_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--grid)",
    ACCENT: "var(--accent)",
    ACCENT_SOFT: "var(--accent-soft)",
    NEUTRAL: "var(--neutral)",
    CONTRAST: "var(--contrast)",
    **{colour: f"var(--series-{i})" for i, colour in enumerate(SERIES)},
}
# Where there is no page: the colours of the page's light mode.
_COLOURS = {
    INK: "#16191d",
    MUTED: "#59626d",
    GRID: "#e1e5ea",
    ACCENT: "#0b63ce",
    ACCENT_SOFT: "#c3dbf8",
    NEUTRAL: "#b3bcc7",
    CONTRAST: "#d9740f",
    **dict(
        zip(
            SERIES,
            (
                *("#0b63ce", "#d9740f", "#0f8a66", "#c2417f"),
                *("#7a4fd0", "#2a9fd6", "#8a6d00", "#5b6570"),
            ),
            strict=True,
        )
    ),
}
_TAG = re.compile(r"<[^>]*>")
_MARKER = re.compile(r"#(0[0-9a-f])\1\1\b")
_INSTALL = "Install it with: pip install 'acav_spark[report]'"


@contextmanager
def drawing(width: int, height: int) -> Iterator[Figure]:
    """Give a figure of so many CSS pixels, under settings that do not leak out."""
    try:
        import matplotlib
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ImportError as error:
        msg = f"report: expected matplotlib, got {error}. {_INSTALL}"
        raise DependencyError(msg) from error
    # No pyplot: a figure of its own is known to nobody and goes with its last name.
    with matplotlib.rc_context(_RC), warnings.catch_warnings():
        # Names in scripts that the measuring font lacks; the page's font has them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(width / 72, height / 72), layout="constrained")
        FigureCanvasSVG(figure)
        yield figure


def inline_svg(figure: Figure, name: str, *, label: str) -> str:
    """Return a figure as an ``svg`` element for an HTML page.

    Parameters
    ----------
    figure : Figure
        What to print; made by ``drawing``, and still inside its block.
    name : str
        Prefix of the ids, unique on the page.
    label : str
        What the figure shows, for those who cannot see it.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    body = text[text.index(">", text.index("<svg")) + 1 : text.rindex("</svg>")]
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", body, flags=re.S)
    used = set(re.findall(r"(?:url\(|href=\")#([\w.-]+)", body))
    body = _TAG.sub(lambda tag: _page_tag(tag[0], name, used), body)
    body = re.sub(r">\s+<", "><", body).strip()
    width, height = (round(72 * side) for side in figure.get_size_inches())
    return (
        f'<svg class="chart" role="img" aria-label="{html.escape(label)}" '
        f'viewBox="0 0 {width} {height}" style="max-width:{width}px">{body}</svg>'
    )


def png(figure: Figure, *, dpi: int = 150) -> bytes:
    """Return a figure as a PNG file in the page's light colours, on white.

    Parameters
    ----------
    figure : Figure
        What to print; made by ``drawing``, and still inside its block.
    dpi : int, default 150
        Pixels an inch; a CSS pixel of the figure is 1/72 of an inch.

    Notes
    -----
    The marker colours of all that is drawn are replaced for good.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import to_hex, to_rgba_array

    for artist in figure.findobj():
        for part in ("color", "facecolor", "edgecolor", "markerfacecolor"):
            get = getattr(artist, f"get_{part}", None)
            put = getattr(artist, f"set_{part}", None)
            if get is None or put is None:
                continue
            # One row for a line or a text, some for a collection, none for "none".
            rows = to_rgba_array(get())
            if len(rows) and to_hex(rows[0]) in _COLOURS:
                put(_COLOURS[to_hex(rows[0])])
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(
        buffer, format="png", dpi=dpi, facecolor="white", metadata={"Software": None}
    )
    return buffer.getvalue()


def quiet_axes(axes: Axes, *, grid: str = "y") -> None:
    """Take away what carries no information; leave thin lines to read values by."""
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(False)
    if grid in {"x", "y"}:
        axes.grid(axis="y" if grid == "y" else "x", color=GRID, linewidth=0.8)


def _page_tag(tag: str, name: str, used: set[str]) -> str:
    """Return one SVG tag as the page wants it; text between tags stays as it is."""

    def page_id(match: re.Match[str]) -> str:
        is_wanted = match[1] in used or match[1].startswith("mark-")
        return f' id="{name}-{match[1]}"' if is_wanted else ""

    tag = re.sub(r' id="([^"]*)"', page_id, tag)
    tag = re.sub(r'(url\(|href=")#', rf"\1#{name}-", tag)
    # Hundredths of a pixel are finer than any screen.
    tag = re.sub(r"(\.\d\d)\d+", r"\1", tag)
    tag = tag.replace("xlink:href", "href")
    tag = re.sub(r"font-family: [^;\"]*;? ?", "", tag)
    tag = _MARKER.sub(lambda match: _VARIABLES.get(match[0], match[0]), tag)
    return re.sub(r"\s+", " ", tag)
