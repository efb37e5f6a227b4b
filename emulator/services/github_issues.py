"""Issues, pull requests as issues, and the comments on both.

https://docs.github.com/rest/issues/issues and https://docs.github.com/rest/issues/comments.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from emulator.services.github_errors import GitHubError, inaccessible, invalid, malformed, missing
from emulator.services.github_operations import (
    NULLABLE_TEXT,
    PAGING,
    TEXT,
    Answer,
    Call,
    Field,
    Operation,
    choice,
    page,
)
from emulator.services.github_repositories import Comment, Issue

LONGEST_BODY = 65_536
"""Characters; https://github.com/orgs/community/discussions/27190."""

_LONGEST_TITLE = 256
_ISSUE = "/repos/{owner}/{repo}/issues/{issue_number}"
_ISSUES = "/repos/{owner}/{repo}/issues"
_COMMENT = "/repos/{owner}/{repo}/issues/comments/{comment_id}"
_EITHER = ("issues", "pull_requests")
_BODY = {"body": Field((str,), required=True)}
_TITLE = (str, int)


def _list_issues(call: Call) -> Answer:
    state = choice(call, "state", ("open", "closed", "all"))
    key = _ORDERS[choice(call, "sort", tuple(_ORDERS))]
    descending = choice(call, "direction", ("desc", "asc")) == "desc"
    since = _since(call)
    found = [
        issue
        for issue in call.repository.issues.values()
        if state in {issue.state, "all"} and issue.updated >= since and _is_asked_for(call, issue)
    ]
    ordered = sorted(found, key=lambda issue: (key(call, issue), issue.number), reverse=descending)
    return page(call, ordered, lambda issue: call.documents.issue(call.repository, issue))


def _create_issue(call: Call) -> Answer:
    _check_issue(call)
    now = call.now
    issue = Issue(
        id=call.new_id(),
        number=call.repository.next_number,
        title=str(call.body["title"]),
        body=call.body.get("body"),
        labels=_labels(call),
        author=call.caller.login,
        created=now,
        updated=now,
    )
    call.repository.issues[issue.number] = issue
    return _made(call.documents.issue(call.repository, issue))


def _get_issue(call: Call) -> Answer:
    return Answer(HTTPStatus.OK, call.documents.issue(call.repository, _issue(call)))


def _update_issue(call: Call) -> Answer:
    issue = _issue(call)
    _check_may_touch(call, issue)
    _check_issue(call)
    if call.body.get("title") is not None:
        issue.title = str(call.body["title"])
    if "body" in call.body:
        issue.body = call.body["body"]
    if "labels" in call.body:
        issue.labels = _labels(call)
    _set_state(call, issue)
    issue.updated = call.now
    return Answer(HTTPStatus.OK, call.documents.issue(call.repository, issue))


def _list_comments(call: Call) -> Answer:
    issue, since = _issue(call), _since(call)
    comments = [each for each in call.repository.comments_on(issue) if each.updated >= since]
    return page(call, comments, lambda each: call.documents.comment(call.repository, issue, each))


def _create_comment(call: Call) -> Answer:
    issue = _issue(call)
    _check_may_touch(call, issue)
    _check_comment(call)
    now = call.now
    comment = Comment(
        id=call.new_id(),
        issue=issue.number,
        author=call.caller.login,
        body=call.body["body"],
        created=now,
        updated=now,
    )
    call.repository.comments[comment.id] = comment
    issue.updated = now
    return _made(call.documents.comment(call.repository, issue, comment))


def _get_comment(call: Call) -> Answer:
    comment = _comment(call)
    return Answer(HTTPStatus.OK, call.documents.comment(call.repository, _issue_of(call, comment), comment))


def _update_comment(call: Call) -> Answer:
    comment = _comment(call)
    issue = _issue_of(call, comment)
    _check_may_touch(call, issue)
    _check_comment(call)
    comment.body, comment.updated = call.body["body"], call.now
    return Answer(HTTPStatus.OK, call.documents.comment(call.repository, issue, comment))


def _delete_comment(call: Call) -> Answer:
    comment = _comment(call)
    _check_may_touch(call, _issue_of(call, comment))
    del call.repository.comments[comment.id]
    return Answer(HTTPStatus.NO_CONTENT)


_ORDERS: dict[str, Callable[[Call, Issue], float]] = {
    "created": lambda _, issue: issue.created,
    "updated": lambda _, issue: issue.updated,
    "comments": lambda call, issue: len(call.repository.comments_on(issue)),
}


def _made(content: dict[str, Any]) -> Answer:
    return Answer(HTTPStatus.CREATED, content, {"Location": content["url"]})


def _issue(call: Call) -> Issue:
    issue = call.repository.issues.get(call.numbers["issue_number"])
    if issue is None:
        raise missing()
    return issue


def _comment(call: Call) -> Comment:
    comment = call.repository.comments.get(call.numbers["comment_id"])
    if comment is None:
        raise missing()
    return comment


def _issue_of(call: Call, comment: Comment) -> Issue:
    return call.repository.issues[comment.issue]


def _check_may_touch(call: Call, issue: Issue) -> None:
    """See that a job that may write to pull requests alone does not write to an issue."""
    names = ("issues",) if issue.pull_request is None else _EITHER
    if not call.caller.may("write", names, call.repository.name):
        raise inaccessible()


def _check_comment(call: Call) -> None:
    if not call.body["body"].strip():
        raise invalid("IssueComment", "unprocessable", "data", "Body cannot be blank")
    if len(call.body["body"]) > LONGEST_BODY:
        message = f"Body is too long (maximum is {LONGEST_BODY} characters)"
        raise invalid("IssueComment", "unprocessable", "data", message)


def _check_issue(call: Call) -> None:
    title, body = call.body.get("title"), call.body.get("body")
    if title is not None and not str(title).strip():
        raise GitHubError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "Validation Failed",
            errors=[{"resource": "Issue", "code": "missing_field", "field": "title"}],
        )
    for name, text, longest in (("title", str(title or ""), _LONGEST_TITLE), ("body", body or "", LONGEST_BODY)):
        if len(text) > longest:
            raise invalid("Issue", "custom", name, f"{name} is too long (maximum is {longest} characters)")


def _labels(call: Call) -> list[str]:
    """The names of the labels given, each as it is or as an object's ``name``."""
    return [_label_name(each) for each in call.body.get("labels", [])]


def _label_name(label: Any) -> str:
    name = label.get("name") if isinstance(label, dict) else label
    TEXT.check("labels", name)
    return str(name)


def _set_state(call: Call, issue: Issue) -> None:
    state = call.body.get("state", issue.state)
    if state == issue.state:
        return
    if state == "open":
        issue.reopen(call.now)
        return
    reason = None if issue.pull_request else call.body.get("state_reason") or "completed"
    issue.close(call.caller.login, call.now, reason)


def _is_asked_for(call: Call, issue: Issue) -> bool:
    """Whether an issue has the author and the labels that are asked for."""
    creator = call.query.get("creator", issue.author)
    labels = {name for name in call.query.get("labels", "").split(",") if name}
    return issue.author.lower() == creator.lower() and labels <= set(issue.labels)


def _since(call: Call) -> float:
    """From when on something must have changed, in seconds since the epoch."""
    text = call.query.get("since")
    if text is None:
        return 0.0
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise malformed(f'"{text}" is not a valid date-time.') from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()


OPERATIONS = (
    Operation(
        id="issues/list-for-repo",
        verb="GET",
        path=_ISSUES,
        docs="issues/issues#list-repository-issues",
        answer=_list_issues,
        permissions=("issues",),
        query=("state", "creator", "labels", "sort", "direction", "since", *PAGING),
    ),
    Operation(
        id="issues/create",
        verb="POST",
        path=_ISSUES,
        docs="issues/issues#create-an-issue",
        answer=_create_issue,
        permissions=("issues",),
        body={"title": Field(_TITLE, required=True), "body": NULLABLE_TEXT, "labels": Field((list,))},
    ),
    Operation(
        id="issues/get",
        verb="GET",
        path=_ISSUE,
        docs="issues/issues#get-an-issue",
        answer=_get_issue,
        permissions=_EITHER,
    ),
    Operation(
        id="issues/update",
        verb="PATCH",
        path=_ISSUE,
        docs="issues/issues#update-an-issue",
        answer=_update_issue,
        permissions=_EITHER,
        body={
            "title": Field((*_TITLE, type(None))),
            "body": NULLABLE_TEXT,
            "labels": Field((list,)),
            "state": Field((str,), choices=("open", "closed")),
            "state_reason": Field((str, type(None)), choices=("completed", "not_planned", "duplicate", "reopened")),
        },
    ),
    Operation(
        id="issues/list-comments",
        verb="GET",
        path=f"{_ISSUE}/comments",
        docs="issues/comments#list-issue-comments",
        answer=_list_comments,
        permissions=_EITHER,
        query=("since", *PAGING),
    ),
    Operation(
        id="issues/create-comment",
        verb="POST",
        path=f"{_ISSUE}/comments",
        docs="issues/comments#create-an-issue-comment",
        answer=_create_comment,
        permissions=_EITHER,
        body=_BODY,
    ),
    Operation(
        id="issues/get-comment",
        verb="GET",
        path=_COMMENT,
        docs="issues/comments#get-an-issue-comment",
        answer=_get_comment,
        permissions=_EITHER,
    ),
    Operation(
        id="issues/update-comment",
        verb="PATCH",
        path=_COMMENT,
        docs="issues/comments#update-an-issue-comment",
        answer=_update_comment,
        permissions=_EITHER,
        body=_BODY,
    ),
    Operation(
        id="issues/delete-comment",
        verb="DELETE",
        path=_COMMENT,
        docs="issues/comments#delete-an-issue-comment",
        answer=_delete_comment,
        permissions=_EITHER,
    ),
)
