# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Every error that a user of the collection can meet, each with its remedy."""

from __future__ import annotations


class FlowopsError(Exception):
    """Something is wrong that the user can act on.

    :arg message: what is wrong; names the field or the object, never holds a secret.
    :arg remedy: what to do about it, an imperative sentence.
    :arg category: the diagnosis category (see ``_diagnosis``).
    """

    category = "internal"

    def __init__(self, message: str, remedy: str = "", category: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        if category is not None:
            self.category = category

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class SettingsError(FlowopsError):
    """What the user typed cannot be used; nothing was launched."""

    category = "bad_settings"


class ApiError(FlowopsError):
    """The Prefect API answered, but not with what was asked for.

    :arg status: the HTTP status, 0 where there was none.
    """

    category = "api_error"

    def __init__(self, message: str, remedy: str = "", category: str | None = None, status: int = 0) -> None:
        super().__init__(message, remedy, category)
        self.status = status


class ApiUnreachable(ApiError):
    """The Prefect API gave no usable answer. Says nothing about any flow run."""

    category = "api_unreachable"


class ApiRefused(ApiError):
    """The Prefect API does not accept the credentials."""

    category = "credentials_refused"


class ApiNotFound(ApiError):
    """The Prefect API knows no such object."""

    category = "not_found"


class InfrastructureError(FlowopsError):
    """The infrastructure of an attempt could not be created, stopped or removed."""

    category = "infrastructure"


class InfrastructureUnreachable(InfrastructureError):
    """The infrastructure cannot be asked. Says nothing about what runs on it."""

    category = "infrastructure_unreachable"


class NameCollision(InfrastructureError):
    """Something that is not ours has the name that an attempt needs; it stays untouched."""

    category = "name_collision"
