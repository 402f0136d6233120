"""Which way of fitting and of differentiating a variant asks for."""

from collections.abc import Callable

from rlbench.lanes.choices.variant import Variant
from rlbench.lanes.steps.learning import Found, TakenAction, differentiated
from rlbench.lanes.steps.recipes.keras import AllActions
from rlbench.lanes.steps.recipes.torchkeras import differentiated_with_target

FITS = {"taken": TakenAction(), "all": AllActions()}


def fit_of(variant: Variant) -> TakenAction:
    """What is fitted to what."""
    return FITS[variant.loss_over]


def differentiation_of(variant: Variant) -> Callable[..., Found]:
    """How losses become gradients."""
    return differentiated if variant.detach_target else differentiated_with_target
