//! The APIs: keys, names, and which versions a node offers on which listener.

use std::fmt;
use std::ops::RangeInclusive;

/// What the definitions say of an API.
#[cfg_attr(not(test), allow(dead_code))] // A test compares all of it with the table below.
pub(crate) struct ApiFacts {
    pub key: i16,
    pub name: &'static str,
    /// The stable versions.
    pub versions: (i16, i16),
    pub first_flexible: i16,
    pub broker: bool,
    pub controller: bool,
}

include!(concat!(env!("OUT_DIR"), "/apis.rs"));

macro_rules! offered {
    (-) => {
        None
    };
    ([$low:literal, $high:literal]) => {
        Some(($low, $high))
    };
}

macro_rules! api_keys {
    ($($code:literal $name:ident $broker:tt $controller:tt;)*) => {
        /// The APIs that Kafka 4.3 has. Those of ZooKeeper's time (4 to 7) are gone.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum ApiKey {
            $($name = $code,)*
        }

        impl ApiKey {
            /// In ascending order of their keys.
            pub const ALL: &[ApiKey] = &[$(ApiKey::$name),*];

            pub const fn from_i16(code: i16) -> Option<ApiKey> {
                match code {
                    $($code => Some(ApiKey::$name),)*
                    _ => None,
                }
            }

            /// Kafka's name, such as `Produce`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(ApiKey::$name => stringify!($name),)*
                }
            }

            const fn offered(self) -> (Option<(i16, i16)>, Option<(i16, i16)>) {
                match self {
                    $(ApiKey::$name => (offered!($broker), offered!($controller)),)*
                }
            }
        }
    };
}

// Key, name, and the versions that a genuine 4.3.1 node offers in ApiVersions on its broker and its
// controller listener; "-" where it does not offer the API. Two rows differ from the definitions:
// - Produce is offered from 0 though 3 is the first version there is: librdkafka wants to see 0.
// - Telemetry (71, 72) is offered only by a node with a metrics reporter that receives it.
api_keys! {
     0 Produce                      [0, 13]  -;
     1 Fetch                        [4, 18]  [4, 18];
     2 ListOffsets                  [1, 11]  -;
     3 Metadata                     [0, 13]  -;
     8 OffsetCommit                 [2, 10]  -;
     9 OffsetFetch                  [1, 10]  -;
    10 FindCoordinator              [0, 6]   -;
    11 JoinGroup                    [0, 9]   -;
    12 Heartbeat                    [0, 4]   -;
    13 LeaveGroup                   [0, 5]   -;
    14 SyncGroup                    [0, 5]   -;
    15 DescribeGroups               [0, 6]   -;
    16 ListGroups                   [0, 5]   -;
    17 SaslHandshake                [0, 1]   [0, 1];
    18 ApiVersions                  [0, 4]   [0, 4];
    19 CreateTopics                 [2, 7]   [2, 7];
    20 DeleteTopics                 [1, 6]   [1, 6];
    21 DeleteRecords                [0, 2]   -;
    22 InitProducerId               [0, 5]   -;
    23 OffsetForLeaderEpoch         [2, 4]   -;
    24 AddPartitionsToTxn           [0, 5]   -;
    25 AddOffsetsToTxn              [0, 4]   -;
    26 EndTxn                       [0, 5]   -;
    27 WriteTxnMarkers              [1, 2]   -;
    28 TxnOffsetCommit              [0, 5]   -;
    29 DescribeAcls                 [1, 3]   [1, 3];
    30 CreateAcls                   [1, 3]   [1, 3];
    31 DeleteAcls                   [1, 3]   [1, 3];
    32 DescribeConfigs              [1, 4]   [1, 4];
    33 AlterConfigs                 [0, 2]   [0, 2];
    34 AlterReplicaLogDirs          [1, 2]   -;
    35 DescribeLogDirs              [1, 5]   -;
    36 SaslAuthenticate             [0, 2]   [0, 2];
    37 CreatePartitions             [0, 3]   [0, 3];
    38 CreateDelegationToken        [1, 3]   [1, 3];
    39 RenewDelegationToken         [1, 2]   [1, 2];
    40 ExpireDelegationToken        [1, 2]   [1, 2];
    41 DescribeDelegationToken      [1, 3]   [1, 3];
    42 DeleteGroups                 [0, 2]   -;
    43 ElectLeaders                 [0, 2]   [0, 2];
    44 IncrementalAlterConfigs      [0, 1]   [0, 1];
    45 AlterPartitionReassignments  [0, 1]   [0, 1];
    46 ListPartitionReassignments   [0, 0]   [0, 0];
    47 OffsetDelete                 [0, 0]   -;
    48 DescribeClientQuotas         [0, 1]   -;
    49 AlterClientQuotas            [0, 1]   [0, 1];
    50 DescribeUserScramCredentials [0, 0]   [0, 0];
    51 AlterUserScramCredentials    [0, 0]   [0, 0];
    52 Vote                         -        [0, 2];
    53 BeginQuorumEpoch             -        [0, 1];
    54 EndQuorumEpoch               -        [0, 1];
    55 DescribeQuorum               [0, 2]   [0, 2];
    56 AlterPartition               -        [2, 3];
    57 UpdateFeatures               [0, 2]   [0, 2];
    58 Envelope                     -        [0, 0];
    59 FetchSnapshot                -        [0, 1];
    60 DescribeCluster              [0, 2]   [0, 2];
    61 DescribeProducers            [0, 0]   -;
    62 BrokerRegistration           -        [0, 4];
    63 BrokerHeartbeat              -        [0, 2];
    64 UnregisterBroker             [0, 0]   [0, 0];
    65 DescribeTransactions         [0, 0]   -;
    66 ListTransactions             [0, 2]   -;
    67 AllocateProducerIds          -        [0, 0];
    68 ConsumerGroupHeartbeat       [0, 1]   -;
    69 ConsumerGroupDescribe        [0, 1]   -;
    70 ControllerRegistration       -        [0, 0];
    71 GetTelemetrySubscriptions    -        -;
    72 PushTelemetry                -        -;
    73 AssignReplicasToDirs         -        [0, 0];
    74 ListConfigResources          [0, 1]   -;
    75 DescribeTopicPartitions      [0, 0]   -;
    76 ShareGroupHeartbeat          [1, 1]   -;
    77 ShareGroupDescribe           [1, 1]   -;
    78 ShareFetch                   [1, 2]   -;
    79 ShareAcknowledge             [1, 2]   -;
    80 AddRaftVoter                 [0, 1]   [0, 1];
    81 RemoveRaftVoter              [0, 0]   [0, 0];
    82 UpdateRaftVoter              -        [0, 0];
    83 InitializeShareGroupState    [0, 0]   -;
    84 ReadShareGroupState          [0, 0]   -;
    85 WriteShareGroupState         [0, 1]   -;
    86 DeleteShareGroupState        [0, 0]   -;
    87 ReadShareGroupStateSummary   [0, 1]   -;
    88 StreamsGroupHeartbeat        [0, 0]   -;
    89 StreamsGroupDescribe         [0, 0]   -;
    90 DescribeShareGroupOffsets    [0, 1]   -;
    91 AlterShareGroupOffsets       [0, 0]   -;
    92 DeleteShareGroupOffsets      [0, 0]   -;
}

impl ApiKey {
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// The versions that a broker listener offers, if it offers the API at all.
    pub fn broker_versions(self) -> Option<RangeInclusive<i16>> {
        self.offered().0.map(|(low, high)| low..=high)
    }

    /// The versions that a controller listener offers, if it offers the API at all.
    pub fn controller_versions(self) -> Option<RangeInclusive<i16>> {
        self.offered().1.map(|(low, high)| low..=high)
    }

    /// The stable versions of the schema: those that can be decoded and encoded.
    pub fn versions(self) -> RangeInclusive<i16> {
        let (low, high) = self.facts().versions;
        low..=high
    }

    /// Whether the version has compact encoding and tagged fields.
    pub fn is_flexible(self, version: i16) -> bool {
        version >= self.facts().first_flexible
    }

    pub fn request_header_version(self, version: i16) -> i16 {
        if self.is_flexible(version) { 2 } else { 1 }
    }

    /// ApiVersions always has version 0, so that a client which asked with a version that the
    /// broker does not have can read the answer.
    pub fn response_header_version(self, version: i16) -> i16 {
        let compact = self.is_flexible(version) && self != ApiKey::ApiVersions;
        if compact { 1 } else { 0 }
    }

    fn facts(self) -> &'static ApiFacts {
        // Four retired keys are missing between 3 and 8; a test checks the place of each.
        let code = self.code() as usize;
        &API_FACTS[if code < 4 { code } else { code - 4 }]
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_agrees_with_definitions() {
        assert_eq!(ApiKey::ALL.len(), API_FACTS.len());
        for &api in ApiKey::ALL {
            let facts = api.facts();
            assert_eq!((api.code(), api.name()), (facts.key, facts.name));
            let (low, high) = facts.versions;
            let first = if api == ApiKey::Produce { 0 } else { low };
            let telemetry = [ApiKey::GetTelemetrySubscriptions, ApiKey::PushTelemetry];
            let broker = facts.broker && !telemetry.contains(&api);
            assert_eq!(
                api.broker_versions(),
                broker.then_some(first..=high),
                "{api}"
            );
            assert_eq!(
                api.controller_versions(),
                facts.controller.then_some(low..=high),
                "{api}"
            );
            assert_eq!(ApiKey::from_i16(api.code()), Some(api));
        }
    }

    #[test]
    fn headers() {
        assert_eq!(ApiKey::ApiVersions.request_header_version(3), 2);
        assert_eq!(ApiKey::ApiVersions.response_header_version(3), 0);
        assert_eq!(ApiKey::Fetch.request_header_version(11), 1);
        assert_eq!(ApiKey::Fetch.response_header_version(12), 1);
        assert_eq!(ApiKey::SaslHandshake.request_header_version(1), 1);
        assert_eq!(ApiKey::from_i16(4), None);
    }
}
