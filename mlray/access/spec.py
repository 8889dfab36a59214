"""Role and Action: who there is, and what they may want to do."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a token lets its bearer do. Each role may also do what the roles before it may."""

    VIEWER = "viewer"
    SUBMITTER = "submitter"
    OPERATOR = "operator"
    ADMIN = "admin"


class Action(StrEnum):
    """Everything that is asked of mlray by someone, named by what it does to its object."""

    STATUS = "status"
    PREDICT = "predict"
    SUBMIT = "submit"
    STOP = "stop"
    DEPLOY = "deploy"
    CLUSTER = "cluster"
    POLICY = "policy"
    TOKENS = "tokens"
