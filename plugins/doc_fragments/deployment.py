# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of what describes a deployment: for the task and, with the same words, for entries of a list."""

from __future__ import annotations


class ModuleDocFragment:
    """All suboptions of ``deployments`` are here: of two fragments that add suboptions the second is lost silently."""

    DOCUMENTATION = r"""
options:
  name: &name
    description:
      - Name of the deployment. With O(flow) it says which deployment is meant.
      - Exactly one of O(name), O(deployments) and O(from_file) is needed.
    type: str
  flow: &flow
    description:
      - Name of the flow. When left out, it is read from the code at O(entrypoint), which needs O(virtualenv), O(python)
        or O(condaenv).
    type: str
  entrypoint: &entrypoint
    description:
      - Where the flow's function is, as C(file.py:function) relative to where the code ends up when a run starts, or as
        C(package.module.function).
    type: str
  path: &path
    description:
      - Directory or address of the code, for deployments without O(pull_steps). An engine copies a directory into its
        working directory. The step C(set_working_directory) does without a copy.
    type: str
  pull_steps: &pull_steps
    description:
      - Steps by which an engine gets the code, as in C(prefect.yaml), each with one key. They replace those that the
        deployment has.
    type: list
    elements: dict
  flow_data: &flow_data
    description:
      - The source of the flow, for a server of Orion, which keeps it with the deployment in the place of O(entrypoint),
        O(path) and O(pull_steps). A new deployment there needs it. C(lookup('file', 'hello.py')) reads it from a file
        of the controller.
    type: str
  parameters: &parameters
    description:
      - Default parameters of the runs. They replace those that the deployment has.
      - They are compared with O(parameter_openapi_schema) before anything is changed, unless
        O(enforce_parameter_schema) is V(false).
    type: dict
  parameter_openapi_schema: &parameter_openapi_schema
    description:
      - JSON schema of the flow's parameters. When left out and an interpreter is given, it is read from the code.
      - A new deployment with an O(entrypoint) needs one of both. An empty mapping says that nothing is known.
    type: dict
  enforce_parameter_schema: &enforce_parameter_schema
    description:
      - Whether the server refuses runs whose parameters do not fit. V(true) for a new deployment when left out.
    type: bool
  tags: &tags
    description:
      - Tags of the deployment and of its runs. They replace those that it has, their order means nothing.
    type: list
    elements: str
  schedules: &schedules
    description:
      - When the server makes runs. They replace those that the deployment has. What stays the same stays, with its
        runs.
      - Each has just one of C(cron), C(interval) (seconds) and C(rrule), and may have C(timezone), C(day_or) (cron),
        C(anchor_date) (interval), C(active), C(max_scheduled_runs), C(parameters) and C(slug). A slug names a schedule,
        so that it can change and remain the same.
    type: list
    elements: dict
  description: &description
    description:
      - What it is for, in Markdown.
    type: str
  version: &version
    description:
      - Version of the deployment, any text.
    type: str
  paused: &paused
    description:
      - Whether its schedules make no runs. Untouched unless given.
    type: bool
  concurrency_limit: &concurrency_limit
    description:
      - How many of its runs may run at once. V(0) removes the limit.
    type: int
  work_pool_name: &work_pool_name
    description:
      - Work pool of the runs. It must exist. An empty text takes the deployment out of its pool, which the runner
        modules of this collection do not need.
    type: str
  work_queue_name: &work_queue_name
    description:
      - Queue in the pool. The server makes it where it does not exist.
    type: str
  job_variables: &job_variables
    description:
      - Job variables for workers. They replace those that the deployment has, less O(flow_runner). The server checks
        them with the pool's template.
    type: dict
  flow_runner: &flow_runner
    description:
      - Which infrastructure runs the flow, attached to the deployment, C(type) and its settings.
      - The C(type) is V(universal) (left to whoever launches), V(subprocess), V(docker) or V(kubernetes). The settings
        are those options of M(flowops.prefect.flow_runner_subprocess), M(flowops.prefect.flow_runner_docker) and
        M(flowops.prefect.flow_runner_k8s) that an entry of C(runs) may have, except C(secret_env), which would be
        readable on the server. They are checked as there.
      - It is stored as the job variable C(flow_runner), as C({type, config}). A change replaces all of it and does not
        reach runs that exist. An empty mapping takes it away.
    type: dict
  python: &python
    description:
      - Full path of an interpreter on the host where the module runs, with Prefect and with what the flow imports. It
        reads the flow's name and parameters. At most one of O(python), O(virtualenv) and O(condaenv) can be given.
    type: path
  virtualenv: &virtualenv
    description:
      - The same as a virtual environment.
    type: path
  condaenv: &condaenv
    description:
      - The same as a conda environment, by name or full path.
    type: str
  source_dir: &source_dir
    description:
      - Directory on the host where the module runs that O(entrypoint) is read in. When left out, the local directory in
        O(pull_steps) or O(path), or the one of O(from_file).
    type: path
  storage_check: &storage_check
    description:
      - What happens when a docker or kubernetes flow runner certainly cannot have the code, which is when the code lies
        in a directory, the image is Prefect's own and nothing is mounted. V(strict) refuses it, V(warn) warns, V(off)
        does not look. V(strict) when left out.
    type: str
    choices: [strict, warn, "off"]
  deployments:
    description:
      - Many deployments in one task. What an entry leaves out comes from the task. All are checked before the first is
        changed.
    type: list
    elements: dict
    suboptions:
      name: *name
      flow: *flow
      entrypoint: *entrypoint
      path: *path
      pull_steps: *pull_steps
      flow_data: *flow_data
      parameters: *parameters
      parameter_openapi_schema: *parameter_openapi_schema
      enforce_parameter_schema: *enforce_parameter_schema
      tags: *tags
      schedules: *schedules
      description: *description
      version: *version
      paused: *paused
      concurrency_limit: *concurrency_limit
      work_pool_name: *work_pool_name
      work_queue_name: *work_queue_name
      job_variables: *job_variables
      flow_runner: *flow_runner
      python: *python
      virtualenv: *virtualenv
      condaenv: *condaenv
      source_dir: *source_dir
      storage_check: *storage_check
"""
