"""The kit that authors test their plugins with: every promise of the contract as a check of its own.

    from gancore.testing import conformance

    @conformance("waves")
    def test_contract(check):
        check()

From a terminal the same is `gan plugins check waves`. Names below are resolved on first use, since pytest loads this package
wherever gancore is installed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gancore.testing.check import ContractError, Report, Result
    from gancore.testing.suite import Case, check_plugin, conformance

_LAZY = {
    **dict.fromkeys(("ContractError", "Report", "Result"), "gancore.testing.check"),
    **dict.fromkeys(("Case", "check_plugin", "conformance"), "gancore.testing.suite"),
}

__all__ = ["Case", "ContractError", "Report", "Result", "check_plugin", "conformance"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'gancore.testing' has no attribute {name!r}")
