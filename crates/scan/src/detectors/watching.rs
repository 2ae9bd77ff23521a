//! Monitoring, errors, analytics and feature flags.

use super::judge::{hex_token, random_token, token};
use crate::detector::{Detector, Hint, Look, secret};

pub(super) const RULES: &[Detector] = &[
    secret(
        "new-relic-key",
        &[Hint::Opens(&["NRAK-", "NRJS-", "NRII-", "NRIQ-", "NRRA-", "NRSP-"])],
        Look::From(
            r"\bNR(?:AK-[A-Z0-9]{27}|JS-[a-f0-9]{19}|I[IQ]-[A-Za-z0-9_-]{32}|RA-[a-f0-9]{42}|SP-[a-z0-9]{38,44})",
            token,
        ),
    ),
    secret(
        "new-relic-licence",
        &[Hint::Exact(&["NRAL"])],
        Look::Around(40, r"\b(?:[a-z]{2}[0-9]{2}[a-z0-9]{2})?[a-f0-9]{28,36}(?:FFFF)?NRAL\b", token),
    ),
    secret(
        "dynatrace-token",
        &[Hint::Exact(&["dt0"])],
        Look::From(r"\bdt0[a-z][0-9]{2}\.[A-Za-z0-9]{8,32}\.[A-Za-z0-9]{64}", token),
    ),
    secret("sentry-token", &[Hint::Exact(&["sntrys_"])], Look::From(r"\bsntrys_eyJ[A-Za-z0-9+/=_-]{40,}", token)),
    secret("sentry-token", &[Hint::Opens(&["sntryu_"])], Look::From(r"\bsntryu_[a-f0-9]{64}", token)),
    secret(
        "honeycomb-key",
        &[Hint::Opens(&["hcaik_", "hcbik_", "hccik_", "hcamk_", "hcxik_"])],
        Look::From(r"\bhc[a-z](?:ik|mk)_[a-z0-9]{26,58}\b", random_token),
    ),
    secret(
        "posthog-key",
        &[Hint::Opens(&["phx_", "phs_"])],
        Look::From(r"\bph[xs]_[A-Za-z0-9_-]{40,50}", random_token),
    ),
    secret(
        "launchdarkly-key",
        &[Hint::Opens(&["sdk-", "api-"])],
        Look::From(r"\b(?:sdk|api)-[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}\b", hex_token),
    ),
    secret(
        "statsig-key",
        &[Hint::Opens(&["secret-", "console-"])],
        Look::From(r"\b(?:secret|console)-[A-Za-z0-9]{40,50}\b", random_token),
    ),
    secret(
        "configcat-key",
        &[Hint::Exact(&["configcat-sdk-"])],
        Look::From(r"\bconfigcat-sdk-\d/[A-Za-z0-9_-]{22}/[A-Za-z0-9_-]{22}", token),
    ),
    secret(
        "pagerduty-key",
        &[Hint::Exact(&["pdus+_", "pdeu+_"])],
        Look::From(r"\bpd(?:us|eu)\+_[A-Za-z0-9+_-]{30,}", token),
    ),
    secret("rootly-key", &[Hint::Opens(&["rootly_"])], Look::From(r"\brootly_[a-f0-9]{64}", token)),
    secret("incident-key", &[Hint::Opens(&["inc_"])], Look::From(r"\binc_[a-f0-9]{64}", hex_token)),
    secret("logfire-token", &[Hint::Opens(&["pylf_v"])], Look::From(r"\bpylf_v\d+_[a-z]{2}_[A-Za-z0-9]{40,50}", token)),
    secret(
        "axiom-token",
        &[Hint::Opens(&["xaat-", "xapt-"])],
        Look::From(r"\bxa[ap]t-[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}", token),
    ),
];
