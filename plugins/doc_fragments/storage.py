# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the check that a flow's code can be where its run is launched."""

from __future__ import annotations


class ModuleDocFragment:
    """For containers and Jobs, which see no directory of the machine that the code lies on."""

    DOCUMENTATION = r"""
options:
  storage_check:
    description:
      - What happens when a container or a Job certainly cannot have the flow's code, which is when the deployment says
        that it lies in a directory of one machine, the image is Prefect's own, and nothing is mounted.
      - V(strict), which is the effective default, refuses the run before anything is created or claimed for it. V(warn)
        launches it all the same and warns, V(off) does not look.
      - Nothing is certain with an image of your own, with a volume, with C(job), C(pod_overrides), C(customizations) or
        C(container_create_kwargs), and with a pull step that fetches the code.
      - The server is asked for the deployments of all runs of a task at once, and only when one of them is about to be
        launched.
    type: str
    choices: [strict, warn, "off"]
"""
