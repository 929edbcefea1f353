//! Every rule with everything a hit can say of consent.

use hit::{Parameter, parameter};
use protocol::Place;

use super::*;

fn hit(consent: Option<Consent>) -> ParsedHit<'static> {
    let param = |key: &str| Parameter { key: key.into(), value: Some(parameter::Value::Text("x".into())) };
    ParsedHit {
        client_id: "c".into(),
        session_id: "s".into(),
        first_visit: Some(true),
        params: ["plan", "session_number", "user_id", "first_source"].map(param).into(),
        consent,
        ..ParsedHit::empty(Place::Hit(0))
    }
}

/// `client session first_visit parameters`, or why the hit is not taken.
fn left(consent: Option<Consent>, policy: ConsentPolicy) -> String {
    match usable(&hit(consent), policy) {
        Err(reason) => reason.as_str().to_owned(),
        Ok(hit) => {
            let params: Vec<_> = hit.params.iter().map(|param| param.key.as_str()).collect();
            format!("{} {} {:?} {}", hit.client_id, hit.session_id, hit.first_visit, params.join(","))
        }
    }
}

#[test]
fn silence_is_no_consent() {
    use Consent::{Denied, Granted};
    use ConsentPolicy::{ForClientId, NotNeeded, Required};
    let all = "c s Some(true) plan,session_number,user_id,first_source";
    for (consent, policy, expected) in [
        (None, NotNeeded, all),
        (Some(Denied), NotNeeded, all),
        (Some(Granted), NotNeeded, all),
        (None, ForClientId, "  None plan"),
        (Some(Denied), ForClientId, "  None plan"),
        (Some(Granted), ForClientId, all),
        (None, Required, "no_consent"),
        (Some(Denied), Required, "no_consent"),
        (Some(Granted), Required, all),
    ] {
        assert_eq!(left(consent, policy), expected, "{consent:?} {policy:?}");
    }
}
