//! SCRAM credentials, ACLs, delegation tokens and SASL on a listener without it.

use bytes::Bytes;
use kafkars::protocol::messages::*;

use crate::settle;
use crate::support::wire::Connection;
use crate::transcript::Transcript;

fn upsert(credentials: &[(&str, i8, i32)]) -> AlterUserScramCredentialsRequest {
    use alter_user_scram_credentials_request::ScramCredentialUpsertion;
    let upsertion = |(name, mechanism, iterations): &(&str, i8, i32)| ScramCredentialUpsertion {
        name: (*name).to_owned(),
        mechanism: *mechanism,
        iterations: *iterations,
        salt: Bytes::from_static(b"salt"),
        salted_password: Bytes::from_static(b"salted password"),
    };
    AlterUserScramCredentialsRequest {
        deletions: Vec::new(),
        upsertions: credentials.iter().map(upsertion).collect(),
    }
}

fn delete(credentials: &[(&str, i8)]) -> AlterUserScramCredentialsRequest {
    use alter_user_scram_credentials_request::ScramCredentialDeletion;
    let deletion = |(name, mechanism): &(&str, i8)| ScramCredentialDeletion {
        name: (*name).to_owned(),
        mechanism: *mechanism,
    };
    AlterUserScramCredentialsRequest {
        deletions: credentials.iter().map(deletion).collect(),
        upsertions: Vec::new(),
    }
}

fn describe(users: Option<&[&str]>) -> DescribeUserScramCredentialsRequest {
    use describe_user_scram_credentials_request::UserName;
    let user = |name: &&str| UserName {
        name: (*name).to_owned(),
    };
    DescribeUserScramCredentialsRequest {
        users: users.map(|users| users.iter().map(user).collect()),
    }
}

/// Genuine Kafka tells the mechanisms of a user in an order that changes from one process to the next.
fn described(
    t: &mut Transcript,
    c: &mut Connection,
    what: &str,
    request: &DescribeUserScramCredentialsRequest,
) {
    let mut response = c.ask(request, 0);
    for user in &mut response.results {
        user.credential_infos.sort_by_key(|info| info.mechanism);
    }
    let what = format!("DescribeUserScramCredentials: {what}");
    t.note(&what, &format!("{response:?}"));
}

pub fn refused(t: &mut Transcript, c: &mut Connection, controller: &mut Connection) {
    scram(t, c);
    t.ask(
        controller,
        "no user, of the controller",
        &upsert(&[("", 1, 4096)]),
    );
    for (c, suffix) in [(c, ""), (controller, ", of the controller")] {
        acls(t, c, suffix);
        tokens(t, c, suffix);
        let handshake = SaslHandshakeRequest {
            mechanism: "PLAIN".to_owned(),
        };
        t.ask(c, &format!("no SASL here{suffix}"), &handshake);
        let authenticate = SaslAuthenticateRequest {
            auth_bytes: Bytes::from_static(b"\0u\0p"),
        };
        t.ask(c, &format!("no SASL here{suffix}"), &authenticate);
    }
}

fn scram(t: &mut Transcript, c: &mut Connection) {
    t.ask(c, "no user", &upsert(&[("", 1, 4096)]));
    t.ask(c, "unknown mechanism", &upsert(&[("u", 3, 4096)]));
    t.ask(c, "no mechanism", &upsert(&[("u", 0, 4096)]));
    t.ask(c, "too few iterations", &upsert(&[("u", 1, 4095)]));
    t.ask(c, "too many iterations", &upsert(&[("u", 2, 16385)]));
    t.ask(
        c,
        "the same user twice",
        &upsert(&[("u", 1, 4096), ("u", 2, 4096)]),
    );
    t.ask(c, "delete nobody", &delete(&[("", 1)]));
    t.ask(c, "delete what is not there", &delete(&[("u", 1)]));
    t.ask(c, "delete of an unknown mechanism", &delete(&[("u", 9)]));
    let both = AlterUserScramCredentialsRequest {
        deletions: delete(&[("u", 1)]).deletions,
        ..upsert(&[("u", 1, 4096)])
    };
    t.ask(c, "delete what is not there, and set it", &both);
    t.ask(c, "nothing", &upsert(&[]));
    t.ask(c, "all of nothing", &describe(None));
    t.ask(c, "empty list", &describe(Some(&[])));
    t.ask(c, "who is not there", &describe(Some(&["u"])));
    t.ask(c, "twice", &describe(Some(&["u", "u"])));
}

fn acls(t: &mut Transcript, c: &mut Connection, suffix: &str) {
    let all = DescribeAclsRequest {
        resource_type_filter: 1,
        pattern_type_filter: 1,
        operation: 1,
        permission_type: 1,
        ..Default::default()
    };
    t.ask(c, &format!("without an authorizer{suffix}"), &all);
    let creation = create_acls_request::AclCreation {
        resource_type: 2,
        resource_name: "t".to_owned(),
        resource_pattern_type: 3,
        principal: "User:u".to_owned(),
        host: "*".to_owned(),
        operation: 3,
        permission_type: 3,
    };
    let create = CreateAclsRequest {
        creations: vec![creation.clone(), creation],
    };
    t.ask(c, &format!("without an authorizer{suffix}"), &create);
    let filter = delete_acls_request::DeleteAclsFilter {
        resource_type_filter: 1,
        pattern_type_filter: 1,
        operation: 1,
        permission_type: 1,
        ..Default::default()
    };
    let remove = DeleteAclsRequest {
        filters: vec![filter],
    };
    t.ask(c, &format!("without an authorizer{suffix}"), &remove);
}

fn tokens(t: &mut Transcript, c: &mut Connection, suffix: &str) {
    let what = format!("on PLAINTEXT{suffix}");
    let create = CreateDelegationTokenRequest {
        owner_principal_type: Some(String::new()),
        owner_principal_name: Some(String::new()),
        max_lifetime_ms: -1,
        ..Default::default()
    };
    t.ask(c, &what, &create);
    let other = CreateDelegationTokenRequest {
        owner_principal_type: Some("User".to_owned()),
        owner_principal_name: Some("other".to_owned()),
        max_lifetime_ms: -1,
        ..Default::default()
    };
    t.ask(c, &format!("for somebody else, {what}"), &other);
    let hmac = Bytes::from_static(b"hmac");
    let renew = RenewDelegationTokenRequest {
        hmac: hmac.clone(),
        renew_period_ms: 1,
    };
    t.ask(c, &what, &renew);
    let expire = ExpireDelegationTokenRequest {
        hmac,
        expiry_time_period_ms: -1,
    };
    t.ask(c, &what, &expire);
    t.ask(c, &what, &DescribeDelegationTokenRequest { owners: None });
}

pub fn accepted(t: &mut Transcript, c: &mut Connection, controller: &mut Connection) {
    t.ask(c, "a new user", &upsert(&[("u", 1, 4096)]));
    t.ask(controller, "another mechanism", &upsert(&[("u", 2, 8192)]));
    settle(c, controller);
    described(t, c, "one user", &describe(Some(&["u"])));
    described(t, c, "all", &describe(None));
    t.ask(c, "deleted", &delete(&[("u", 1)]));
    settle(c, controller);
    t.ask(c, "after the deletion", &describe(Some(&["u"])));
    t.ask(c, "one user twice", &describe(Some(&["u", "u"])));
}
