from __future__ import annotations

import re
import uuid

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from octue_action import names

account_ids = st.from_regex(r"[a-z][a-z0-9-]{4,28}[a-z0-9]", fullmatch=True)
service_names = st.from_regex(r"[a-z]([a-z0-9-]{0,47}[a-z0-9])?", fullmatch=True)


@pytest.mark.parametrize(
    ("namespace", "name", "preview", "expected"),
    [
        (None, "sum", None, "sum"),
        ("my-org", "sum", None, "my-org-sum"),
        ("my-org", "sum", "pr-123", "my-org-sum-pr-123"),
        ("", "sum", "", "sum"),
    ],
)
def test_a_service_is_called_after_its_namespace_name_and_preview(
    namespace: str | None, name: str, preview: str | None, expected: str
) -> None:
    assert names.service(namespace, name, preview) == expected


def test_a_service_id_is_always_the_same_for_the_same_service() -> None:
    first = names.service_id("my-project", "europe-west1", "my-org-sum")
    assert first == names.service_id("my-project", "europe-west1", "my-org-sum") == str(uuid.UUID(first))
    assert uuid.UUID(first).version == 5
    others = [("x-project", "europe-west1", "my-org-sum"), ("my-project", "europe-west2", "my-org-sum")]
    assert first not in [names.service_id(*other) for other in others]


def test_a_service_id_is_the_name_based_uuid_of_the_cloud_run_services_full_name() -> None:
    name = "//run.googleapis.com/projects/my-project/locations/europe-west1/services/my-org-sum"
    expected = str(uuid.uuid5(uuid.NAMESPACE_URL, name))
    assert names.service_id("my-project", "europe-west1", "my-org-sum") == expected


@given(account_ids, account_ids)
def test_two_deployers_never_share_a_role_and_its_id_is_legal(one: str, other: str) -> None:
    assume(one != other)
    assert names.deployer_role_id(one) != names.deployer_role_id(other)
    assert re.fullmatch(r"[A-Za-z0-9_.]{3,64}", names.deployer_role_id(one))


def test_the_usual_deployer_has_the_role_that_is_called_after_it() -> None:
    assert names.deployer_role_id("deployer") == "octue_deployer"


def test_a_topic_carries_the_service_id() -> None:
    identifier = uuid.UUID("0df08f9f-30ad-4db3-8029-ea584b4290b7")
    expected = "octue.services.0df08f9f-30ad-4db3-8029-ea584b4290b7"
    assert names.topic_id(identifier) == names.topic_id(str(identifier)) == expected


@given(service_names)
def test_a_service_account_id_is_legal(service: str) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9-]{4,28}[a-z0-9]", names.service_account_id(service))


@given(service_names, service_names)
def test_two_services_never_share_a_service_account(one: str, other: str) -> None:
    assume(one != other)
    assert names.service_account_id(one) != names.service_account_id(other)


@given(service_names)
def test_a_service_called_like_anothers_account_gets_an_account_of_its_own(service: str) -> None:
    account = names.service_account_id(service)
    assume(account != service)
    assert names.service_account_id(account) != account


def test_a_service_account_id_that_fits_is_the_services_name() -> None:
    assert names.service_account_id("my-org-sum") == "my-org-sum"


def test_a_short_name_becomes_a_recognisable_account() -> None:
    assert re.fullmatch("octue-sum-[0-9a-f]{8}", names.service_account_id("sum"))


def test_a_service_account_in_a_domain_scoped_project_has_the_domain_last() -> None:
    assert names.service_account_email("sum-account", "my-project") == (
        "sum-account@my-project.iam.gserviceaccount.com"
    )
    pool = "principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/github"
    assert names.deployer_role_of(f"{pool}/attribute.repository_id/7") == "octue_repository_7"
    assert names.deployer_role_of("serviceAccount:deployer-2@my-project.iam.gserviceaccount.com") == "octue_deployer_2"
    assert names.project_of("sum-account@my-project.iam.gserviceaccount.com") == "my-project"
    assert names.project_of("sum-account@proj.example.com.iam.gserviceaccount.com") == "example.com:proj"
    assert names.project_of("123-compute@developer.gserviceaccount.com") == "-"
    assert names.service_account_email("sum-account", "example.com:proj") == (
        "sum-account@proj.example.com.iam.gserviceaccount.com"
    )


def test_an_image_is_tagged_with_the_commit() -> None:
    assert names.image("europe-west1", "my-project", "my-org-sum", "c0ffee") == (
        "europe-west1-docker.pkg.dev/my-project/my-org-sum/my-org-sum:c0ffee"
    )


def test_an_image_of_a_domain_scoped_project_has_the_domain_as_a_folder() -> None:
    image = names.image("europe-west1", "example.com:proj", "sum", "c0ffee")
    assert image == "europe-west1-docker.pkg.dev/example.com/proj/sum/sum:c0ffee"


@given(service_names)
def test_triggers_and_repository_have_legal_names(service: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9-]{1,64}", names.build_trigger(service))
    assert re.fullmatch(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", names.eventarc_trigger(service))
    assert re.fullmatch(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", names.artifact_repository(service))


def test_the_octue_role_has_a_legal_id() -> None:
    assert names.octue_role("my-project") == "projects/my-project/roles/octue_service_user"


@given(st.text())
def test_any_text_becomes_a_legal_label_value(text: str) -> None:
    assert re.fullmatch(r"[a-z0-9_-]{0,63}", names.label_value(text))


def test_labels_say_whose_a_resource_is() -> None:
    assert names.labels("my-org-sum", "1296269") == {
        "managed-by": "octue-action",
        "octue-service": "my-org-sum",
        "github-repository-id": "1296269",
    }


@given(service_names, st.sampled_from(["my-project", "example.com:my-project"]))
def test_an_image_says_after_which_service_it_is_called(service: str, project: str) -> None:
    reference = names.image("europe-west1", project, service, "0123")
    assert names.image_service("europe-west1", project, reference) == service


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "python:3.11-slim",
        "gcr.io/my-project/sum:0123",
        "europe-west1-docker.pkg.dev/my-project/images/sum:0123",
        "europe-west1-docker.pkg.dev/other-project/sum/sum:0123",
        "europe-north1-docker.pkg.dev/my-project/sum/sum:0123",
        "europe-west1-docker.pkg.dev/my-project/sum/sum",
        f"europe-west1-docker.pkg.dev/my-project/sum/sum@sha256:{'0' * 64}",
    ],
)
def test_an_image_that_is_called_otherwise_says_nothing(reference: str) -> None:
    assert names.image_service("europe-west1", "my-project", reference) == ""


@given(st.text("abc-", min_size=1, max_size=120))
def test_a_build_triggers_name_is_never_longer_than_cloud_build_allows(service: str) -> None:
    name = names.build_trigger(service)

    assert 1 <= len(name) <= 64
    assert (name == service) == (len(service) <= 64)
