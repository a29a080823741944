"""What people call methods and schemes that have another name here: data, and who is meant."""

import difflib
import re
from collections.abc import Iterable, Mapping

METHODS = {
    "kd": "hinton soft soft_targets soft_labels soft_logits kl kld kl_div kldiv logit logits "
    "vanilla vanilla_kd st response",
    "kd_mse": "mse l2 logit_mse logits_mse logit_matching",
    "kd_hard": "hard hard_label hard_labels hard_distillation pseudo_labels",
    "at": "attention attention_transfer attention_maps atkd",
    "fitnet": "hint hints hint_loss fit fitnets_hint feature features feature_matching",
    "sp": "similarity similarity_preserving spkd",
    "crd": "contrast contrastive contrastive_representation crd_loss infonce",
    "rkd": "relation relational distance_angle",
    "cc": "correlation correlation_congruence cckd",
    "pkt": "probabilistic probabilistic_transfer",
    "simreg": "embedding embeddings cosine regression feature_regression representation foundation",
    "vid": "variational mutual_information",
    "nst": "mmd neuron_selectivity",
    "ft": "factor factors factor_transfer paraphraser",
    "fsp": "gift flow gram",
    "ofd": "overhaul feature_overhaul",
    "reviewkd": "review knowledge_review review_kd kr",
    "srrl": "softmax_regression",
    "dkd": "decoupled decoupled_kd",
    "dist": "stronger_teacher pearson",
    "ctkd": "curriculum curriculum_temperature",
    "ofa": "one_for_all ofakd ofa_kd",
    "tfkd": "teacher_free tf_kd",
    "deit": "distillation_token",
    "casd": "attention_self_distillation",
}
"""Name here: what else it is called."""

SCHEMES = {
    "offline": "kd distill distillation teacher_student vanilla",
    "alone": "supervised none no_teacher labels baseline train",
    "average": "ensemble multi_teacher mean",
    "mutual": "dml deep_mutual deep_mutual_learning mutual_learning online peers",
    "born_again": "ban born_again_networks generations self self_distillation",
    "exits": "byot be_your_own_teacher early_exit early_exits branches",
    "compress": "model_compression transfer_set",
    "fusion": "ffl feature_fusion",
    "attention_self": "casd",
}


def called(word: str, table: Mapping[str, str]) -> tuple[str, ...]:
    """The keys of the table that are also called so, in its order; spelling aside."""
    return tuple(name for name, others in table.items() if spelling(word) in others.split())


def nearly_called(word: str, table: Mapping[str, str]) -> tuple[str, ...]:
    """As `called`, of a word that is misspelt."""
    words = [other for others in table.values() for other in others.split()]
    near = difflib.get_close_matches(spelling(word), words, n=1, cutoff=0.85)
    return called(near[0], table) if near else ()


def titled(word: str, titles: Mapping[str, str]) -> tuple[str, ...]:
    """The names whose title, authors included, has every word of `word` (of four letters and more).

    `titles`: name and title.
    """
    wanted = set(spelling(word).split("_"))
    if any(len(part) < 4 for part in wanted):
        return ()
    return tuple(
        name for name, title in titles.items() if wanted <= set(re.findall(r"\w+", title.lower()))
    )


def spelling(word: str) -> str:
    """`learningRate`, `learning-rate` and `Learning_Rate` are one: `learning_rate`."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", word)
    return re.sub(r"\W+", "_", apart).strip("_").lower()


def or_words(names: Iterable[str]) -> str:
    """`"; did you mean 'a' or 'b'?"`, of three at most; nothing of none."""
    few = list(dict.fromkeys(names))[:3]
    quoted = [name if " " in name else f"'{name}'" for name in few]
    return f"; did you mean {' or '.join(quoted)}?" if quoted else ""
