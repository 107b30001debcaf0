"""The cards of shipped weights: docs/model_cards/WEIGHTS.md."""

from typing import Any

from result_records import number, percent, record_of, result_of, spread
from training_notes import curves_lines, run_lines

from fer_zoo.labels import FERPLUS_LABELS, same_labels
from fer_zoo.model_card import FER2013_LIMITS, FER2013_TERMS, card_data, short_command
from fer_zoo.models.weights import WeightsRecord
from fer_zoo.publishing.repository import begun, chosen, learnt


def model_card(name: str) -> str:
    """Returns the card of shipped weights."""
    result, record = result_of(name), record_of(name)
    training, m, made = record.training, result["metrics"], result["provenance"]
    ferplus = same_labels(result["label_names"], FERPLUS_LABELS)
    which = "the faces on which more than half of the FER+ votes agree" if ferplus else "all faces"
    lines = [
        "---",
        card_data(
            name,
            "apache-2.0",
            {"val": m, "val_flip": result["metrics_flip"]},
            "ferplus" if ferplus else "fer2013",
        ).to_yaml(),
        "---",
        f"# {name}",
        "",
        "```python",
        "import fer_zoo",
        "",
        f'predictor = fer_zoo.Predictor("{name.removesuffix(".fer2013")}")',
        'print(predictor("face.png").label)',
        "```",
        "",
        f"File `{record.file.name}`, sha256 `{record.sha256}`.",
        "",
        "## Figures",
        "",
        f"FER-2013 PublicTest, {which} ({m['n']:,}), computed in float32 by",
        f"`{short_command(made['command'])}` on {made['hardware']}.",
        f"**{chosen(record.recipe)}** PrivateTest was not used.",
        "One seed. 95 % intervals are from 2,000 bootstrap samples of groups of identical faces;",
        "they include neither what PublicTest chose nor other seeds.",
        "",
        "| | one view | 95 % interval | with the mirror image | 20 views |",
        "|---|--:|---|--:|--:|",
        *(
            f"| {text} | {percent(m, key)} | "
            f"{spread(result['intervals'][key]) if key in result['intervals'] else ''} | "
            f"{percent(result['metrics_flip'], key)} "
            f"| {percent(result.get('metrics_views'), key)} |"
            for key, text in {
                "accuracy": "accuracy %",
                "balanced_accuracy": "balanced accuracy %",
                "f1_macro": "F1 macro %",
                "f1_weighted": "F1 weighted %",
            }.items()
        ),
        *(
            f"| {text} | {m[key]:.4f} | | {result['metrics_flip'][key]:.4f} "
            f"| {number(result.get('metrics_views'), key)} |"
            for key, text in {
                "roc_auc_macro": "ROC AUC, one versus rest, macro",
                "log_loss": "log-loss, nats",
                "brier": "Brier score, 0 to 2",
                "ece": "ECE, 15 bins",
            }.items()
        ),
        "",
        *evidence_lines(record, result),
        "",
        "| class | precision % | recall % | 95 % interval | F1 % | faces |",
        "|---|--:|--:|---|--:|--:|",
        *(
            f"| {label} | {percent(c, 'precision')} | {percent(c, 'recall')} "
            f"| {spread(result['intervals']['recall'][label])} | {percent(c, 'f1')} "
            f"| {c['support']} |"
            for label, c in m["per_class"].items()
        ),
        "",
        f"![confusion matrix of {name}](../results/{name}-confusion.png)",
        "",
        "## Training",
        "",
        f"{begun(record.recipe)} on {training['training_faces']:,} Training faces of FER-2013",
        "(without those that are blank or identical to a face of a later part), with",
        f"{learnt(record.recipe)}.",
        "",
        *curves_lines(name, record),
        *run_lines(record),
        "## Limits",
        "",
        f"{FER2013_LIMITS};",
        "see [responsible use](../responsible_use.md).",
        "",
        FER2013_TERMS,
        "",
    ]
    return "\n".join(lines)


def evidence_lines(record: WeightsRecord, result: dict[str, Any]) -> list[str]:
    """Describes the further figures: calibration, leak-free part, FER+."""
    calibrated, part, people = (result[key] for key in ("calibrated", "leak_free", "ferplus"))
    lines = [
        f"- `Predictor` divides logits by the temperature {record.temperature}, fitted on all",
        "  of PublicTest; the figures above are without it. With a temperature fitted on the other",
        f"  folds (5-fold, over groups of identical faces): log-loss {calibrated['log_loss']:.4f},",
        f"  Brier {calibrated['brier']:.4f}, ECE {calibrated['ece']:.4f}.",
    ]
    if record.temperature == 1:
        lines = [
            "- `Predictor` uses the probabilities as they are: a temperature fitted on other folds",
            "  (5-fold, over groups of identical faces) does not lower their ECE.",
        ]
    if part:
        lines += [
            "- Accuracy without the faces that are in several splits:",
            f"  {percent(part['metrics'])} % ({spread(part['intervals']['accuracy'])}) on",
            f"  {part['metrics']['n']:,} faces.",
        ]
    if people:
        lines += [
            f"- FER+: accuracy {percent(people)} % against the majority of its ten votes",
            f"  ({people['n_majority']:,} faces with a majority for one of these classes); KL",
            f"  divergence from the votes {people['kl']:.4f} nats ({people['n']:,} faces).",
        ]
    return lines
