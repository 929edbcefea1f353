//! Requests at random over several organisations, with every kind of key and with ids of any of them in every field: no key but the admin's
//! reads or changes anything of another organisation.
//!
//! What is whose is told from the records themselves, by the ids and names in them, not by the rule under test. With a rule that forgets
//! whose a thing is, the same run has to fail.

use std::collections::{BTreeMap, BTreeSet};

use proto::config::*;
use tonic::Code;

use super::ask::Ask;
use super::permissions::report;
use super::world::{ADMIN, Tenant, World};
use crate::authorize::{Action, Caller, Place, allows};

const REQUESTS: usize = 8_000;

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }
}

/// A key, and whose it is; `None`: the admin's or nobody's.
struct Holder {
    key: String,
    home: Option<usize>,
}

/// Ids by kind; each list ends with some that nobody has.
struct Pool {
    organisations: Vec<String>,
    properties: Vec<String>,
    members: Vec<String>,
    keys: Vec<String>,
    streams: Vec<String>,
    erasures: Vec<String>,
}

impl Pool {
    fn of<'a>(ids: &(impl Iterator<Item = &'a String> + Clone)) -> Self {
        let all = |prefix: &str| {
            let nobodys = format!("{prefix}aaaaaaaaaaaa");
            ids.clone().filter(|id| id.starts_with(prefix)).cloned().chain([nobodys]).collect::<Vec<_>>()
        };
        let organisations = [all("o_"), vec![String::new()]].concat();
        Self {
            organisations,
            properties: all("p_"),
            members: all("u_"),
            keys: all("k_"),
            streams: all("M-"),
            erasures: all("e_"),
        }
    }

    fn mask(random: &mut Random, fields: &[&str]) -> Option<prost_types::FieldMask> {
        let paths = fields.iter().filter(|_| random.coin()).map(|field| (*field).to_owned()).collect();
        random.coin().then_some(prost_types::FieldMask { paths })
    }

    /// A request of any RPC; `nth` makes its names unlike all others.
    #[allow(clippy::too_many_lines)] // one arm for each RPC
    fn ask(&self, random: &mut Random, nth: usize) -> Ask {
        let organisation_id = random.one(&self.organisations).clone();
        let property_id = random.one(&self.properties).clone();
        let member_id = random.one(&self.members).clone();
        let key_id = random.one(&self.keys).clone();
        let measurement_id = random.one(&self.streams).clone();
        let job = random.one(&self.erasures).clone();
        let name = format!("fresh-{nth:06}");
        let page_size = u32::try_from(random.below(4)).unwrap();
        let token = [&self.properties, &self.members, &self.keys][random.below(3)];
        let page_token = if random.below(4) == 0 { random.one(token).clone() } else { String::new() };
        let alias = Alias {
            property_id: property_id.clone(),
            protocol: "umami".into(),
            id: format!("site-{}", random.below(3)),
            hostname: String::new(),
        };
        let overlap_s = random.coin().then_some(3_600);
        match *random.one(Ask::ALL) {
            "RunReport" => Ask::RunReport(report(property_id)),
            "CreateProperty" if random.coin() => Ask::CreateProperty(CreatePropertyRequest {
                name,
                organisation_id,
                hits_per_second: (random.below(4) == 0).then_some(7),
                ..CreatePropertyRequest::default()
            }),
            "GetProperty" | "CreateProperty" => Ask::GetProperty(GetPropertyRequest { property_id }),
            "ListProperties" => {
                Ask::ListProperties(ListPropertiesRequest { organisation_id, page_size, page_token })
            }
            "UpdateProperty" => Ask::UpdateProperty(UpdatePropertyRequest {
                property: Some(Property {
                    property_id,
                    name,
                    currency: "EUR".into(),
                    organisation_id,
                    daily_hits: if random.below(4) == 0 { 1_000 } else { 0 },
                    ..Property::default()
                }),
                update_mask: Self::mask(random, &["name", "hostnames", "currency", "daily_hits"]),
            }),
            "RotateApiSecret" => {
                Ask::RotateApiSecret(RotateApiSecretRequest { property_id, overlap_s: Some(0) })
            }
            "AddAlias" => Ask::AddAlias(AddAliasRequest { alias: Some(alias) }),
            "RemoveAlias" => Ask::RemoveAlias(RemoveAliasRequest { alias: Some(alias) }),
            "ListAliases" => Ask::ListAliases(ListAliasesRequest {
                property_id: if random.coin() { property_id } else { String::new() },
            }),
            "DeleteProperty" if random.below(4) == 0 => {
                Ask::DeleteProperty(DeletePropertyRequest { property_id })
            }
            "EraseVisitors" | "DeleteProperty" => Ask::EraseVisitors(EraseVisitorsRequest {
                property_id,
                client_ids: vec![name],
                ..EraseVisitorsRequest::default()
            }),
            "ListErasures" => Ask::ListErasures(ListErasuresRequest {
                property_id: if random.coin() { property_id } else { String::new() },
                page_size,
                page_token: String::new(),
            }),
            "GetErasure" => Ask::GetErasure(GetErasureRequest { job }),
            "RunRetention" => Ask::RunRetention(RunRetentionRequest { dry_run: random.coin() }),
            "CreateStream" if random.coin() => Ask::CreateStream(CreateStreamRequest { property_id, name }),
            "ListStreams" | "CreateStream" => Ask::ListStreams(ListStreamsRequest { property_id }),
            "UpdateStream" => Ask::UpdateStream(UpdateStreamRequest { property_id, measurement_id, name }),
            "DeleteStream" => Ask::DeleteStream(DeleteStreamRequest { property_id, measurement_id }),
            "SetRules" => Ask::SetRules(SetRulesRequest {
                property_id,
                rules: format!("session_timeout_s = {}", 60 + random.below(600)),
                dry_run: random.coin(),
            }),
            "GetRules" => Ask::GetRules(GetRulesRequest { property_id, version: page_size }),
            "CreateOrganisation" => Ask::CreateOrganisation(CreateOrganisationRequest { name }),
            "CreateFirstOwner" => Ask::CreateFirstOwner(CreateFirstOwnerRequest {
                organisation_name: name.clone(),
                email: format!("{name}@x.example"),
                name,
            }),
            "GetOrganisation" => Ask::GetOrganisation(GetOrganisationRequest { organisation_id }),
            "ListOrganisations" => Ask::ListOrganisations(ListOrganisationsRequest { page_size, page_token }),
            "UpdateOrganisation" => Ask::UpdateOrganisation(UpdateOrganisationRequest {
                organisation: Some(Organisation { organisation_id, name, created_at: String::new() }),
                update_mask: Self::mask(random, &["name"]),
            }),
            "AddMember" if random.coin() => Ask::AddMember(AddMemberRequest {
                organisation_id,
                email: format!("{name}@x.example"),
                name,
                role: (*random.one(&["viewer", "editor", "owner"])).into(),
            }),
            "UpdateMember" | "AddMember" => Ask::UpdateMember(UpdateMemberRequest {
                member: Some(Member {
                    organisation_id,
                    member_id,
                    email: format!("{name}@x.example"),
                    name,
                    ..Member::default()
                }),
                update_mask: Self::mask(random, &["name", "email"]),
            }),
            "RemoveMember" if random.below(3) == 0 => {
                Ask::RemoveMember(RemoveMemberRequest { organisation_id, member_id })
            }
            "ListMembers" | "RemoveMember" => {
                Ask::ListMembers(ListMembersRequest { organisation_id, page_size, page_token })
            }
            "ListChanges" => Ask::ListChanges(ListChangesRequest {
                organisation_id: if random.coin() { organisation_id } else { String::new() },
                property_id: if random.coin() { property_id } else { String::new() },
                member_id: if random.coin() { member_id } else { String::new() },
                page_size,
                page_token: String::new(),
            }),
            "CreateKey" => {
                let (member_id, property_ids, all_properties) = match random.below(8) {
                    0..3 => (member_id, Vec::new(), false),
                    3..6 => (String::new(), vec![property_id], false),
                    6 => (String::new(), Vec::new(), true),
                    _ => (member_id, vec![property_id], true),
                };
                Ask::CreateKey(CreateKeyRequest {
                    organisation_id,
                    name,
                    member_id,
                    property_ids,
                    all_properties,
                    ..CreateKeyRequest::default()
                })
            }
            "ListKeys" => Ask::ListKeys(ListKeysRequest { organisation_id, page_size, page_token }),
            "RevokeKey" if random.below(8) == 0 => Ask::RevokeKey(RevokeKeyRequest { key_id }),
            "RotateKey" | "RevokeKey" => Ask::RotateKey(RotateKeyRequest { key_id, overlap_s }),
            other => panic!("no request for {other}"),
        }
    }
}

type State = BTreeMap<String, Vec<u8>>;

/// Ids by which the records of an organisation are known: its own, its properties', members', keys' and data streams'.
fn ids_of(state: &State, organisation_id: &str) -> BTreeSet<String> {
    let mut ids = BTreeSet::from([organisation_id.to_owned()]);
    for index in ["property_of", "member", "key_of"] {
        let prefix = format!("{index}/{organisation_id}/");
        let keys = state.range(prefix.clone()..).take_while(|(key, _)| key.starts_with(&prefix));
        ids.extend(keys.map(|(key, _)| key[prefix.len()..].to_owned()));
    }
    let streams = state.keys().filter_map(|key| key.strip_prefix("stream_of/")?.split_once('/'));
    let own = streams.filter(|(property_id, _)| ids.contains(*property_id));
    let own: Vec<_> = own.map(|(_, measurement_id)| measurement_id.to_owned()).collect();
    ids.extend(own);
    for (key, value) in state.iter().filter(|(key, _)| key.starts_with("erasure/")) {
        use prost::Message as _;
        let stored = StoredErasure::decode(&value[..]).unwrap();
        ids.extend((stored.organisation_id == organisation_id).then(|| key["erasure/".len()..].to_owned()));
    }
    ids
}

/// Display names in the records of an organisation, read without the code under test but for the messages.
fn names_of(state: &State, organisation_id: &str) -> BTreeSet<String> {
    use prost::Message as _;
    let mut names = BTreeSet::new();
    for (key, value) in state {
        if key.starts_with("organisation/") {
            let stored = StoredOrganisation::decode(&value[..]).unwrap();
            names.extend((stored.organisation_id == organisation_id).then_some(stored.name));
        } else if key.starts_with("member/") {
            let stored = StoredMember::decode(&value[..]).unwrap();
            if stored.organisation_id == organisation_id {
                names.extend([stored.name, stored.email]);
            }
        } else if key.starts_with("stream/") {
            let stored = StoredStream::decode(&value[..]).unwrap();
            let own = state.contains_key(&format!("property_of/{organisation_id}/{}", stored.property_id));
            names.extend(own.then_some(stored.name));
        } else if key.starts_with("property/") {
            let stored = StoredProperty::decode(&value[..]).unwrap();
            names.extend((stored.organisation_id == organisation_id).then_some(stored.name));
        }
    }
    names
}

/// How many hits are taken of a property; 0 of what is none.
fn quota_of(key: &str, value: Option<&Vec<u8>>) -> (u64, u32) {
    use prost::Message as _;
    let Some(value) = value.filter(|_| key.starts_with("property/")) else { return (0, 0) };
    let edge = StoredProperty::decode(&value[..]).unwrap().edge.unwrap();
    (edge.daily_hits, edge.hits_per_second)
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// The keys of a tenant, in order.
fn holders(tenant: &Tenant, home: usize) -> impl Iterator<Item = Holder> {
    let members = ["owner", "editor", "viewer"].map(|role| tenant.key(role).to_owned());
    let others =
        [&tenant.reports, &tenant.config, &tenant.everywhere, &tenant.expired].map(|key| key.secret.clone());
    members.into_iter().chain(others).map(move |key| Holder { key, home: Some(home) })
}

struct Seen {
    world: World,
    organisations: Vec<String>,
    state: State,
    ids: Vec<BTreeSet<String>>,
    names: Vec<BTreeSet<String>>,
}

impl Seen {
    fn look(&mut self) -> State {
        let before = std::mem::replace(&mut self.state, self.world.records());
        self.ids = self.organisations.iter().map(|id| ids_of(&self.state, id)).collect();
        self.names = self.organisations.iter().map(|id| names_of(&self.state, id)).collect();
        before
    }

    /// What was told that stands for another organisation, unless the request said it.
    fn told(&self, home: usize, request: &str, said: &str) -> Result<(), String> {
        for other in (0..self.organisations.len()).filter(|other| *other != home) {
            for word in self.ids[other].iter().chain(&self.names[other]) {
                if said.contains(word.as_str()) && !request.contains(word.as_str()) {
                    return Err(format!(
                        "{request} told {word} of organisation {other} to one of {home}: {said}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// What was changed that belongs to another organisation.
    fn changed(&mut self, home: usize, request: &str) -> Result<(), String> {
        let ids_before = self.ids.clone();
        let before = self.look();
        let keys: BTreeSet<&String> = before.keys().chain(self.state.keys()).collect();
        for key in keys.into_iter().filter(|key| before.get(*key) != self.state.get(*key)) {
            // A property that is deleted has none any more.
            let stays = self.state.contains_key(key);
            if stays && quota_of(key, before.get(key)) != quota_of(key, self.state.get(key)) {
                return Err(format!("{request} set a quota as one of {home}, who is not the operator"));
            }
            for other in (0..self.organisations.len()).filter(|other| *other != home) {
                for id in ids_before[other].iter().chain(&self.ids[other]) {
                    let values = [before.get(key), self.state.get(key)];
                    let is_theirs = values.into_iter().flatten().any(|value| contains(value, id));
                    if key.contains(id.as_str()) || is_theirs {
                        return Err(format!(
                            "{request} changed {key} of organisation {other} as one of {home}"
                        ));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Sends requests at random; gives how many of each RPC were answered, or what should not have been.
async fn wander(
    rule: crate::authorize::Rule,
    seed: u64,
    requests: usize,
) -> Result<BTreeMap<&'static str, usize>, String> {
    let world = World::start_with(rule).await;
    let mut tenants = Vec::new();
    for name in ["alfa-corp", "bravo-corp", "carla-corp", "delta-corp"] {
        tenants.push(world.tenant(name).await);
    }
    let operators = world.property(ADMIN, "operators-site", "").await;
    let mut everyone: Vec<Holder> =
        tenants.iter().enumerate().flat_map(|(home, tenant)| holders(tenant, home)).collect();
    for (home, tenant) in tenants.iter().enumerate() {
        // More of those who may do much.
        everyone.extend([0, 1].map(|_| Holder { key: tenant.key("owner").to_owned(), home: Some(home) }));
    }
    // The operator's report key is no organisation's: it may see nothing of any.
    let nowhere = tenants.len();
    everyone.push(Holder { key: operators.report_key.clone(), home: Some(nowhere) });
    everyone.extend([0, 1, 2].map(|_| Holder { key: ADMIN.into(), home: None }));
    everyone.push(Holder { key: "mk_nobody".into(), home: Some(nowhere) });
    let organisations: Vec<String> = tenants.iter().map(|tenant| tenant.organisation_id.clone()).collect();
    let mut seen = Seen { world, organisations, state: State::new(), ids: Vec::new(), names: Vec::new() };
    seen.look();
    let (mut random, mut answered) = (Random(seed), BTreeMap::new());
    for nth in 0..requests {
        let holder = random.one(&everyone);
        // Half of the requests are about what is the caller's own, or they would all be refused.
        let own = holder.home.filter(|home| *home < nowhere && random.coin());
        let pool = match own {
            Some(home) => Pool::of(&seen.ids[home].iter()),
            None => Pool::of(&seen.ids.iter().flatten().chain([&operators.property_id])),
        };
        let ask = pool.ask(&mut random, nth);
        let (rpc, request) = (ask.name(), format!("{ask:?}"));
        let foreign_report = match (&ask, holder.home) {
            (Ask::RunReport(wanted), Some(home)) => {
                seen.ids.iter().enumerate().any(|(of, ids)| of != home && ids.contains(&wanted.property_id))
            }
            _ => false,
        };
        let version = seen.world.running.history.position().version;
        let said = ask.send(seen.world.channel.clone(), &holder.key).await;
        let text = match &said {
            Ok(answer) => answer.clone(),
            Err(status) => format!("{} {:?}", status.message(), status.details()),
        };
        if said.is_ok() || said.as_ref().is_err_and(|status| status.code() == Code::Unavailable) {
            *answered.entry(rpc).or_default() += 1;
            if foreign_report {
                return Err(format!("{request} was answered to one of {:?}", holder.home));
            }
        }
        if let Some(home) = holder.home {
            seen.told(home, &request, &text)?;
        }
        if seen.world.running.history.position().version != version {
            match holder.home {
                Some(home) => seen.changed(home, &request)?,
                None => drop(seen.look()),
            }
        }
    }
    Ok(answered)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_reads_or_changes_what_is_another_organisations() {
    let answered = wander(allows, 42, REQUESTS).await.unwrap();
    // It would be easy to pass by refusing everything.
    let never: Vec<_> =
        Ask::ALL.iter().filter(|rpc| **rpc != "CreateFirstOwner" && !answered.contains_key(**rpc)).collect();
    assert!(never.is_empty(), "never answered: {never:?} of {answered:?}");
}

/// Forgets whose a thing is, for this action of members.
fn forgets(forgotten: Action, caller: &Caller, action: Action, place: Place<'_>) -> bool {
    match caller {
        Caller::Member { organisation_id, .. } if action == forgotten => {
            allows(caller, action, Place { organisation_id, ..place })
        }
        _ => allows(caller, action, place),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_forgets_whose_a_thing_is_is_found_out() {
    let reads =
        |caller: &Caller, action, place: Place<'_>| forgets(Action::ReadProperty, caller, action, place);
    let error = wander(reads, 42, REQUESTS).await.unwrap_err();
    assert!(error.contains(" told "), "{error}");
    let changes =
        |caller: &Caller, action, place: Place<'_>| forgets(Action::RotateApiSecret, caller, action, place);
    let error = wander(changes, 42, REQUESTS).await.unwrap_err();
    assert!(error.contains(" changed "), "{error}");
    let reports =
        |caller: &Caller, action, place: Place<'_>| forgets(Action::ReadReports, caller, action, place);
    let error = wander(reports, 42, REQUESTS).await.unwrap_err();
    assert!(error.contains("RunReport"), "{error}");
    let quotas = |caller: &Caller, action, place: Place<'_>| {
        let action = if action == Action::SetQuota { Action::ChangeProperty } else { action };
        allows(caller, action, place)
    };
    let error = wander(quotas, 42, REQUESTS).await.unwrap_err();
    assert!(error.contains(" set a quota "), "{error}");
}
