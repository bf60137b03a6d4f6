"""The recipes by name."""

from __future__ import annotations

from benchmark.data.recipes import audiocaps, esc50, greatest_hits, landscape, ravdess, vegas, voxceleb
from benchmark.data.recipes.items import Recipe

RECIPES: dict[str, Recipe] = {
    module.RECIPE.name: module.RECIPE
    for module in (audiocaps, esc50, greatest_hits, landscape, ravdess, vegas, voxceleb)
}
