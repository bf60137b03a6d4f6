"""What to cite for a metric: its exact definition with version, and the papers and repositories that it follows."""

from __future__ import annotations

import re
from collections.abc import Iterable

from metrics.definitions import MetricDefinition, get

PAPERS = {
    "2305.13050": """@inproceedings{yariv2023audiotoken,
  title     = {{AudioToken}: Adaptation of Text-Conditioned Diffusion Models for Audio-to-Image Generation},
  author    = {Yariv, Guy and Gat, Itai and Wolf, Lior and Adi, Yossi and Schwartz, Idan},
  booktitle = {Interspeech},
  year      = {2023},
  eprint    = {2305.13050},
  archivePrefix = {arXiv}
}""",
    "2110.11499": """@inproceedings{wu2022wav2clip,
  title     = {{Wav2CLIP}: Learning Robust Audio Representations from {CLIP}},
  author    = {Wu, Ho-Hsiang and Seetharaman, Prem and Kumar, Kundan and Bello, Juan Pablo},
  booktitle = {ICASSP},
  year      = {2022},
  eprint    = {2110.11499},
  archivePrefix = {arXiv}
}""",
    "2103.00020": """@inproceedings{radford2021clip,
  title     = {Learning Transferable Visual Models From Natural Language Supervision},
  author    = {Radford, Alec and Kim, Jong Wook and Hallacy, Chris and Ramesh, Aditya and Goh, Gabriel and Agarwal,
               Sandhini and Sastry, Girish and Askell, Amanda and Mishkin, Pamela and Clark, Jack and Krueger, Gretchen
               and Sutskever, Ilya},
  booktitle = {ICML},
  year      = {2021},
  eprint    = {2103.00020},
  archivePrefix = {arXiv}
}""",
    "1706.08500": """@inproceedings{heusel2017gans,
  title     = {{GANs} Trained by a Two Time-Scale Update Rule Converge to a Local {Nash} Equilibrium},
  author    = {Heusel, Martin and Ramsauer, Hubert and Unterthiner, Thomas and Nessler, Bernhard and Hochreiter, Sepp},
  booktitle = {NeurIPS},
  year      = {2017},
  eprint    = {1706.08500},
  archivePrefix = {arXiv}
}""",
    "1801.01401": """@inproceedings{binkowski2018demystifying,
  title     = {Demystifying {MMD} {GANs}},
  author    = {Bi{\\'n}kowski, Miko{\\l}aj and Sutherland, Danica J. and Arbel, Michael and Gretton, Arthur},
  booktitle = {ICLR},
  year      = {2018},
  eprint    = {1801.01401},
  archivePrefix = {arXiv}
}""",
    "1904.06991": """@inproceedings{kynkaanniemi2019improved,
  title     = {Improved Precision and Recall Metric for Assessing Generative Models},
  author    = {Kynk{\\"a}{\\"a}nniemi, Tuomas and Karras, Tero and Laine, Samuli and Lehtinen, Jaakko and Aila, Timo},
  booktitle = {NeurIPS},
  year      = {2019},
  eprint    = {1904.06991},
  archivePrefix = {arXiv}
}""",
    "2002.09797": """@inproceedings{naeem2020reliable,
  title     = {Reliable Fidelity and Diversity Metrics for Generative Models},
  author    = {Naeem, Muhammad Ferjad and Oh, Seong Joon and Uh, Youngjung and Choi, Yunjey and Yoo, Jaejun},
  booktitle = {ICML},
  year      = {2020},
  eprint    = {2002.09797},
  archivePrefix = {arXiv}
}""",
    "2210.02410": """@article{friedman2023vendi,
  title     = {The {Vendi} Score: A Diversity Evaluation Metric for Machine Learning},
  author    = {Friedman, Dan and Dieng, Adji Bousso},
  journal   = {Transactions on Machine Learning Research},
  year      = {2023},
  eprint    = {2210.02410},
  archivePrefix = {arXiv}
}""",
    "2004.05675": """@inproceedings{meehan2020non,
  title     = {A Non-Parametric Test to Detect Data-Copying in Generative Models},
  author    = {Meehan, Casey and Chaudhuri, Kamalika and Dasgupta, Sanjoy},
  booktitle = {AISTATS},
  year      = {2020},
  eprint    = {2004.05675},
  archivePrefix = {arXiv}
}""",
    "2310.11513": """@inproceedings{ghosh2023geneval,
  title     = {{GenEval}: An Object-Focused Framework for Evaluating Text-to-Image Alignment},
  author    = {Ghosh, Dhruba and Hajishirzi, Hannaneh and Schmidt, Ludwig},
  booktitle = {NeurIPS},
  year      = {2023},
  eprint    = {2310.11513},
  archivePrefix = {arXiv}
}""",
}
"""BibTeX by arXiv number."""

_OF_FAMILY = {
    "ais": ("2305.13050", "2110.11499", "2103.00020"),
    "iis": ("2305.13050", "2103.00020"),
    "aic": ("2305.13050", "2103.00020"),
}
"""Papers behind the metrics of a family whose formula comes from somewhere else."""


def papers_of(definition: MetricDefinition) -> list[str]:
    """Return the arXiv numbers to cite for a metric."""
    behind = _OF_FAMILY.get(definition.family, ())
    if definition.extractor is not None:
        behind = behind[:1]  # the others are of the suite's scorers
    numbers = [*behind, *re.findall(r"\b\d{4}\.\d{5}\b", definition.source)]
    return list(dict.fromkeys(numbers))


def repository_of(definition: MetricDefinition) -> str | None:
    """Return the BibTeX of the repository whose formula a metric follows, or None."""
    found = re.match(r"([\w.-]+)/([\w.-]+)(?:@(\w+))?", definition.source)
    if found is None or definition.source.startswith("this project"):
        return None
    owner, name, commit = found.groups()
    at = f", commit {commit}" if commit else ""
    return (
        f"@misc{{{owner.lower()}-{name.lower()},\n"
        f"  title        = {{{name.replace('_', ' ')}}},\n"
        f"  author       = {{{{{owner}}}}},\n"
        f"  howpublished = {{\\url{{https://github.com/{owner}/{name}}}{at}}}\n"
        "}"
    )


def cite(metrics: Iterable[str], version: str) -> str:
    """Return a text for a paper's bibliography: each metric's definition as a comment, then the entries, each once.

    Args:
        metrics: Ids.
        version: Version of this package.

    Raises:
        ValueError: An id is unknown.
    """
    chosen = [get(metric) for metric in metrics]
    better = {"up": "higher is better", "down": "lower is better"}
    lines = [
        f"% {one.id}, version {one.version}: {one.definition}; {one.unit}, "
        f"{'low values warn, higher is no better' if one.warns else better[one.direction]}; after {one.source}"
        for one in chosen
    ]
    entries = dict.fromkeys(PAPERS[number] for one in chosen for number in papers_of(one))
    entries |= dict.fromkeys(entry for one in chosen if (entry := repository_of(one)))
    own = f"@software{{audio2image-bench,\n  title   = {{audio2image-bench}},\n  version = {{{version}}}\n}}"
    return "\n\n".join(["\n".join(lines), *entries, own]) + "\n"
