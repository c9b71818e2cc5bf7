"""The named groups, v1: apps, autoscaling (Scale), policy (Eviction), authorization and authentication (.k8s.io)."""

APPS = """
RollingUpdateDeployment: maxUnavailable.1?:IntOrString maxSurge.2?:IntOrString
DeploymentStrategy: type.1 rollingUpdate.2?:RollingUpdateDeployment
DeploymentSpec: replicas.1?:int selector.2?!:LabelSelector template.3!:PodTemplateSpec
  strategy.4:DeploymentStrategy^ minReadySeconds.5:int revisionHistoryLimit.6?:int paused.7:bool
  progressDeadlineSeconds.9?:int
DeploymentCondition: type.1! status.2! lastUpdateTime.6:Time lastTransitionTime.7:Time reason.4 message.5
DeploymentStatus: observedGeneration.1:int replicas.2:int updatedReplicas.3:int readyReplicas.7:int
  availableReplicas.4:int unavailableReplicas.5:int terminatingReplicas.9?:int
  conditions.6[DeploymentCondition/type] collisionCount.8?:int
Deployment: metadata.1:ObjectMeta spec.2:DeploymentSpec status.3:DeploymentStatus
ReplicaSetSpec: replicas.1?:int minReadySeconds.4:int selector.2?!:LabelSelector template.3:PodTemplateSpec
ReplicaSetCondition: type.1! status.2! lastTransitionTime.3:Time reason.4 message.5
ReplicaSetStatus: replicas.1!:int fullyLabeledReplicas.2:int readyReplicas.4:int availableReplicas.5:int
  terminatingReplicas.7?:int observedGeneration.3:int conditions.6[ReplicaSetCondition/type]
ReplicaSet: metadata.1:ObjectMeta spec.2:ReplicaSetSpec status.3:ReplicaSetStatus
"""
AUTOSCALING = """
ScaleSpec: replicas.1:int
ScaleStatus: replicas.1!:int selector.2
Scale: metadata.1:ObjectMeta spec.2:ScaleSpec status.3:ScaleStatus
"""
POLICY = """
Eviction: metadata.1:ObjectMeta deleteOptions.2?:DeleteOptions
"""
AUTHORIZATION = """
FieldSelectorAttributes: rawSelector.1 requirements.2[FieldSelectorRequirement]
LabelSelectorAttributes: rawSelector.1 requirements.2[LabelSelectorRequirement]
ResourceAttributes: namespace.1 verb.2 group.3 version.4 resource.5 subresource.6 name.7
  fieldSelector.8?:FieldSelectorAttributes labelSelector.9?:LabelSelectorAttributes
NonResourceAttributes: path.1 verb.2
SelfSubjectAccessReviewSpec: resourceAttributes.1?:ResourceAttributes nonResourceAttributes.2?:NonResourceAttributes
SubjectAccessReviewStatus: allowed.1!:bool denied.4:bool reason.2 evaluationError.3
SelfSubjectAccessReview: metadata.1:ObjectMeta spec.2!:SelfSubjectAccessReviewSpec status.3:SubjectAccessReviewStatus
ResourceRule: verbs.1![] apiGroups.2[] resources.3[] resourceNames.4[]
NonResourceRule: verbs.1![] nonResourceURLs.2[]
SelfSubjectRulesReviewSpec: namespace.1
SubjectRulesReviewStatus: resourceRules.1![ResourceRule] nonResourceRules.2![NonResourceRule] incomplete.3!:bool
  evaluationError.4
SelfSubjectRulesReview: metadata.1:ObjectMeta spec.2!:SelfSubjectRulesReviewSpec status.3:SubjectRulesReviewStatus
"""
AUTHENTICATION = """
UserInfo: username.1 uid.2 groups.3[]
SelfSubjectReviewStatus: userInfo.1:UserInfo
SelfSubjectReview: metadata.1:ObjectMeta status.2:SelfSubjectReviewStatus
"""
