# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of what describes a subprocess: for the task and, with the same words, for entries of ``runs``."""

from __future__ import annotations


class ModuleDocFragment:
    """All suboptions of ``runs`` are here: of two fragments that add suboptions the second is lost silently."""

    DOCUMENTATION = r"""
options:
  env: &env
    description:
      - Environment variables of the engine. They take precedence over everything that the collection sets, and those of
        an entry in O(runs) over those of the task.
      - The engine inherits nothing from the session but an allow-list (C(PATH), C(HOME), C(USER), C(LOGNAME), C(SHELL),
        C(LANG), C(LC_*), C(TZ), C(TMPDIR), C(XDG_RUNTIME_DIR), and the usual variables of proxies and certificates).
      - Values must be texts. YAML reads C(0755) as the number 493, C(3.10) as 3.1, and C(NO) as false, before anyone
        can see what was meant. Such values are refused, put them in quotes.
      - V(null) removes a variable, whoever else would set it.
      - Values of variables whose names look secret (C(KEY), C(TOKEN), C(SECRET), C(PASSWORD), C(AUTH), C(CREDENTIAL),
        C(DSN) and the like) are masked in everything that is returned. O(secret_env) is the better place for them.
      - Names that begin with C(FLOWOPS_) or C(PREFECT__) are reserved.
    type: dict
  secret_env: &secret_env
    description:
      - Environment variables of the engine whose values are secret. They are masked wherever they turn up in what is
        returned or shown, the output of the run included, also when they are encoded as base64 or for an address.
      - The module hands them on through a pipe. They are on no command line and in no file of the run. Ansible itself
        writes the arguments of a module to a temporary file on the host unless C(pipelining) is on.
      - Values shorter than four characters cannot be recognised in output.
      - Otherwise like O(env). The same variable in both is an error.
    type: dict
  python: &python
    description:
      - Full path of the Python interpreter that the engine runs with. It must be able to import Prefect, in a version
        that fits the server.
      - When none of O(python), O(virtualenv) and O(condaenv) is given, it is the interpreter that Ansible uses on the
        host. At most one of them can be given, and an entry in O(runs) replaces the choice of the task.
      - C(~) and environment variables of the host are expanded. A relative path is refused.
    type: path
  virtualenv: &virtualenv
    description:
      - Full path of the virtual environment that the engine runs in. It is activated as C(bin/activate) would, by
        C(VIRTUAL_ENV) and C(PATH).
      - C(~) and environment variables of the host are expanded. A relative path is refused.
    type: path
  condaenv: &condaenv
    description:
      - The conda environment that the engine runs in, by its name, or by its full path, which begins with C(/) or C(~).
      - Something like C(./env) is refused, since it could be meant as either.
      - The engine is started with C(conda run --no-capture-output), so that output arrives while it is written.
    type: str
  working_dir: &working_dir
    description:
      - Full path of the directory that the engine starts in. It must exist. A directory of the run's own when left out.
      - C(~) and environment variables of the host are expanded. A relative path is refused.
    type: path
  output_limit: &output_limit
    description:
      - How many bytes of a run's output are kept on the host, V(16777216) (16 MiB) when left out.
      - Of more than that the beginning and the latest half are kept, what lies between is dropped, and the output says
        so. A chatty flow is never held up and does not fill the disk.
      - On file systems that cannot give back the middle of a file, everything so far is dropped at once.
    type: int
  state_dir:
    description:
      - Full path of the directory in which the runs of this host and user are recorded, with their output.
      - It must be on a local file system. It is created if need be, and must belong to the user alone.
      - Runs that share it share O(concurrency) and find each other again.
      - When left out, C(.local/state/flowops-prefect) in the home directory that the passwd entry of the user names.
    type: path
  runs:
    description:
      - The flow runs that the task is about, each with options of its own, which take precedence over those of the
        task.
      - An entry names a run by C(flow_run_id), or has a new one created from C(deployment), or from the task's
        O(deployment).
      - The entries of RV(runs) in an earlier result are accepted as they are.
      - An empty list is an error, and so is the same run twice.
    type: list
    elements: dict
    suboptions:
      flow_run_id:
        description:
          - The UUID of the flow run.
        type: str
      deployment:
        description:
          - The deployment that the run is created from, as C(flow/name) or by its UUID. The task's O(deployment) when
            left out.
        type: str
      parameters:
        description:
          - Parameters of the run to be created, on top of the task's O(parameters).
        type: dict
      flow_run_name:
        description:
          - Name of the run to be created, in place of the task's O(flow_run_name).
        type: str
      tags:
        description:
          - Tags of the run to be created, in place of the task's O(tags).
        type: list
        elements: str
      idempotency_key:
        description:
          - Makes the creation of the run happen once, in place of the task's O(idempotency_key).
        type: str
      rerun:
        description:
          - Whether the run is launched again when it is at its end, in place of the task's O(rerun).
        type: str
      env: *env
      secret_env: *secret_env
      python: *python
      virtualenv: *virtualenv
      condaenv: *condaenv
      working_dir: *working_dir
      output_limit: *output_limit
"""
