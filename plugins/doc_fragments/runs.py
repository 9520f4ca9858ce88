# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the options that say which flow runs a task is about."""

from __future__ import annotations


class ModuleDocFragment:
    """One source of runs; ``runs`` itself, with its suboptions, is part of the fragment of each runner type."""

    DOCUMENTATION = r"""
options:
  flow_run_id:
    description:
      - The UUID of the one flow run that the task is about. The form without dashes is accepted too.
      - Exactly one source of runs is needed. O(flow_run_id), O(flow_run_ids), O(deployment) and O(runs) exclude each
        other, except that O(deployment) and O(runs) go together.
    type: str
  flow_run_ids:
    description:
      - The UUIDs of the flow runs that the task is about, in the order in which the result lists them.
      - An empty list is an error, since it usually comes from a variable that should not have been empty. Skip the task
        with C(when) where there may be nothing to do. The same run twice is an error too.
    type: list
    elements: str
  deployment:
    description:
      - The deployment that a flow run is created from, as C(flow/name) or by its UUID.
      - With O(runs) it is the deployment of every entry that names none of its own.
      - A run that this module creates is kept out of the reach of the workers of the deployment's work pool. Where
        another launcher wins the run all the same, the task follows it and says so.
      - Give O(idempotency_key) as well wherever the play may be run again. Without it each execution makes a new run,
        as C(prefect deployment run) does, and a play that was interrupted cannot find its run again.
    type: str
  parameters:
    description:
      - Parameters of the runs to be created. They take precedence over the deployment's defaults, and those of an entry
        in O(runs) over these, name by name.
      - The server validates them against the deployment's schema, and its reason is passed on.
      - Values must be expressible in JSON. On ansible-core 2.17 a template such as C({{ 3 }}) makes the text V("3");
        newer versions keep the number.
      - Prefect's own templates, such as C({{ prefect.blocks.secret.name }}), would be evaluated by Ansible. Mark them
        with C(!unsafe).
      - Parameters are stored on the server and shown in its UI. Secrets do not belong here.
    type: dict
  flow_run_name:
    description:
      - Name of the run to be created. C({name}) is replaced by the parameter of that name, as given in O(parameters).
        Write C({{) and C(}}) for braces that mean themselves, inside of C(!unsafe).
      - Only plain names of parameters work in braces, neither attributes nor formats.
      - The server chooses a name when this is left out.
    type: str
  tags:
    description:
      - Tags of the runs to be created, beside those of the deployment. Those of an entry in O(runs) replace these.
    type: list
    elements: str
  idempotency_key:
    description:
      - A text that makes the creation of the run happen once. The same key with the same deployment finds the same run
        again, however often, from wherever and after whatever interruption the task is executed.
      - Choose what identifies the piece of work, such as C(nightly-{{ ansible_facts['date_time']['date'] }}), or, for
        once in each AWX job, C({{ awx_job_id }}). A relaunched AWX job has an id of its own.
      - The deployment and, with O(runs), the parameters of the entry become part of the key, so that one key serves a
        whole list.
      - The same key with other parameters is an error that shows the difference. The run that exists keeps its own.
      - The key is no secret. The server stores a digest of it with the run.
    type: str
  per_host:
    description:
      - Whether each host of a play creates a run of its own.
      - A play that has more than one host and a task with O(deployment) is refused unless this is V(true), or the task
        says C(run_once) or C(delegate_to), since a run for each host is rarely what is wanted.
      - With V(true) the name of the host becomes part of O(idempotency_key).
      - V(false) when left out.
    type: bool
"""
